// AVX-512 F, BW, DQ and VL: sixteen floats at once.
#include <cstdint>
#include <immintrin.h>

namespace {

struct Isa {
    using V = __m512;
    static constexpr int width = 16;
    static constexpr int gemm_rows = 6;
    static constexpr int gemm_columns = 4;
    static V load(const float* p) { return _mm512_loadu_ps(p); }
    static V load_f16(const uint16_t* p) {
        return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
    }
    static V load_i8(const uint8_t* p) {
        return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
    }
    static void store(float* p, V x) { _mm512_storeu_ps(p, x); }
    static void store_f16(uint16_t* p, V x) {
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT));
    }
    static uint16_t to_f16(float x) { return _cvtss_sh(x, _MM_FROUND_TO_NEAREST_INT); }
    static float from_f16(uint16_t x) { return _cvtsh_ss(x); }
    static V set1(float x) { return _mm512_set1_ps(x); }
    static V add(V a, V b) { return _mm512_add_ps(a, b); }
    static V mul(V a, V b) { return _mm512_mul_ps(a, b); }
    static V fma(V a, V b, V c) { return _mm512_fmadd_ps(a, b, c); }
    static V div(V a, V b) { return _mm512_div_ps(a, b); }
    static V negate(V x) { return _mm512_xor_ps(x, _mm512_set1_ps(-0.0f)); }
    static V negative_magnitude(V x) { return _mm512_or_ps(x, _mm512_set1_ps(-0.0f)); }
    static V copy_sign(V magnitude, V sign) {
        return _mm512_or_ps(magnitude, _mm512_and_ps(sign, _mm512_set1_ps(-0.0f)));
    }
    static V max(V a, V b) { return _mm512_max_ps(a, b); }
    static V round(V x) { return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
    static V scale_by_power_of_2(V x, V n) { return _mm512_scalef_ps(x, n); }
    static V zero_below(V x, V key, float limit) {
        return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(key, _mm512_set1_ps(limit), _CMP_GE_OQ), x);
    }
    static float reduce_add(V x) { return _mm512_reduce_add_ps(x); }
    static float reduce_max(V x) { return _mm512_reduce_max_ps(x); }
    static void transpose(V* r) {
        V t[16], s[16];
        for (int i = 0; i < 16; i += 2) {
            t[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
            t[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
        }
        for (int i = 0; i < 16; i += 4)
            for (int j = 0; j < 2; j++) {
                s[i + 2 * j] = _mm512_shuffle_ps(t[i + j], t[i + j + 2], 0x44);
                s[i + 2 * j + 1] = _mm512_shuffle_ps(t[i + j], t[i + j + 2], 0xee);
            }
        for (int i = 0; i < 4; i++) {
            t[i] = _mm512_shuffle_f32x4(s[i], s[i + 4], 0x88);
            t[i + 4] = _mm512_shuffle_f32x4(s[i], s[i + 4], 0xdd);
            t[i + 8] = _mm512_shuffle_f32x4(s[i + 8], s[i + 12], 0x88);
            t[i + 12] = _mm512_shuffle_f32x4(s[i + 8], s[i + 12], 0xdd);
        }
        for (int i = 0; i < 4; i++) {
            r[i] = _mm512_shuffle_f32x4(t[i], t[i + 8], 0x88);
            r[i + 8] = _mm512_shuffle_f32x4(t[i], t[i + 8], 0xdd);
            r[i + 4] = _mm512_shuffle_f32x4(t[i + 4], t[i + 12], 0x88);
            r[i + 12] = _mm512_shuffle_f32x4(t[i + 4], t[i + 12], 0xdd);
        }
    }
};

} // namespace

#include "attend.inl"

namespace wave {
const Kernels kernels_avx512 = REPOWAVE_KERNELS("avx512");
}
