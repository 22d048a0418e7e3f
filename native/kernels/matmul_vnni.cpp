// Eight-bit products by AVX-512 VNNI: a panel of weights is unpacked once and multiplied with all tokens.
#include "one_token.h"

namespace wave {
namespace {

/// Tokens whose sums stay in registers: eight-bit sums and their scaled sums fill 24 of 32.
constexpr int kTokens = 6;

/// Weights for the instruction: four neighbours of each row side by side.
struct Unpacked {
    uint8_t* values; ///< [columns / 4][kPanelRows][4]
    float* scales;   ///< [columns / per_scale][kPanelRows]
    float* mins;     ///< like the scales
};

template <class Format> void unpack(const WeightPanel& panel, const Unpacked& to) {
    constexpr int per_block = Format::values / Format::per_scale;
    alignas(64) uint8_t u[Format::values];
    float scales[per_block], mins[per_block];
    for (int row = 0; row < kPanelRows; row++) {
        const uint8_t* from = panel.rows + row * panel.stride;
        for (int block = 0; block < panel.columns / Format::values; block++) {
            Format::unpack(from + static_cast<size_t>(block) * Format::bytes, u, scales, mins);
            const size_t first = static_cast<size_t>(block) * Format::values;
            for (int i = 0; i < Format::values; i += 4)
                std::memcpy(to.values + ((first + i) / 4 * kPanelRows + row) * 4, u + i, 4);
            for (int i = 0; i < per_block; i++) {
                const size_t at = (first / Format::per_scale + i) * kPanelRows + row;
                to.scales[at] = scales[i], to.mins[at] = mins[i];
            }
        }
    }
}

inline __m512i four_values(const int8_t* p) {
    int32_t four;
    std::memcpy(&four, p, sizeof four);
    return _mm512_set1_epi32(four);
}

/// Tokens [first, first + T) with the whole panel.
template <int T, int PerScale>
void multiply_tokens(const Unpacked& weights, int columns, const PackedTokens& tokens, size_t first,
                     float* out, size_t out_stride) {
    const int8_t* x = tokens.values + first * columns;
    const float* scales = tokens.scales + first * (columns / kActivationBlock);
    const float* sums = tokens.sums + first * (columns / PerScale);
    __m512 total[T][2];
    for (auto& row : total) row[0] = row[1] = _mm512_setzero_ps();
    for (int block = 0; block < columns / PerScale; block++) {
        __m512i sum[T][2];
        for (auto& row : sum) row[0] = row[1] = _mm512_setzero_si512();
        const uint8_t* w = weights.values + static_cast<size_t>(block) * PerScale * kPanelRows;
#pragma GCC unroll 8
        for (int i = 0; i < PerScale; i += 4) {
            const __m512i w0 = _mm512_load_si512(w + i * kPanelRows);
            const __m512i w1 = _mm512_load_si512(w + i * kPanelRows + 64);
            for (int t = 0; t < T; t++) {
                const __m512i four = four_values(x + static_cast<size_t>(t) * columns + block * PerScale + i);
                sum[t][0] = _mm512_dpbusd_epi32(sum[t][0], w0, four);
                sum[t][1] = _mm512_dpbusd_epi32(sum[t][1], w1, four);
            }
        }
        for (int half = 0; half < 2; half++) {
            const __m512 scale = _mm512_load_ps(weights.scales + block * kPanelRows + half * 16);
            const __m512 min = _mm512_load_ps(weights.mins + block * kPanelRows + half * 16);
            for (int t = 0; t < T; t++) {
                const float of_token =
                    scales[t * (columns / kActivationBlock) + block * PerScale / kActivationBlock];
                const __m512 both = _mm512_mul_ps(scale, _mm512_set1_ps(of_token));
                const __m512 x_sum = _mm512_set1_ps(sums[t * (columns / PerScale) + block]);
                total[t][half] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum[t][half]), both, total[t][half]);
                total[t][half] = _mm512_fnmadd_ps(min, x_sum, total[t][half]);
            }
        }
    }
    for (int t = 0; t < T; t++)
        for (int half = 0; half < 2; half++)
            _mm512_storeu_ps(out + (first + t) * out_stride + half * 16, total[t][half]);
}

void multiply(const WeightPanel& panel, const PackedTokens& tokens, size_t count, float* out,
              size_t out_stride, uint8_t* scratch) {
    with_format(panel.format, [&](auto format) {
        using Format = decltype(format);
        constexpr int per_scale = Format::per_scale;
        if constexpr (multiplies_one(Format::format))
            if (count == 1) {
                for (int row = 0; row < kPanelRows; row += kRowsTogether)
                    multiply_rows<Format>(panel.rows + row * panel.stride, panel.stride, panel.columns,
                                          tokens, out + row);
                return;
            }
        const size_t values = static_cast<size_t>(panel.columns) * kPanelRows;
        auto* scales = reinterpret_cast<float*>(scratch + values);
        const Unpacked weights{scratch, scales, scales + values / per_scale};
        unpack<Format>(panel, weights);
        size_t t = 0;
        for (; t + kTokens <= count; t += kTokens)
            multiply_tokens<kTokens, per_scale>(weights, panel.columns, tokens, t, out, out_stride);
        for (; t < count; t++)
            multiply_tokens<1, per_scale>(weights, panel.columns, tokens, t, out, out_stride);
    });
}

/// Scales of 1/127 of the largest value in a block, as ggml's Q8_0.
void pack(const float* x, int columns, WeightFormat format, const PackedTokens& to, size_t token) {
    const bool whole = values_per_scale(format) == kActivationBlock;
    int8_t* values = to.values + token * columns;
    float* scales = to.scales + token * (columns / kActivationBlock);
    float* sums = to.sums + token * (columns / values_per_scale(format));
    for (int block = 0; block < columns / kActivationBlock; block++) {
        const __m512 a = _mm512_loadu_ps(x + block * 32), b = _mm512_loadu_ps(x + block * 32 + 16);
        const float highest = _mm512_reduce_max_ps(_mm512_max_ps(_mm512_abs_ps(a), _mm512_abs_ps(b)));
        const float scale = highest / 127;
        const __m512 inverse = _mm512_set1_ps(highest > 0 ? 127 / highest : 0);
        const __m512i qa = _mm512_cvtps_epi32(_mm512_mul_ps(a, inverse));
        const __m512i qb = _mm512_cvtps_epi32(_mm512_mul_ps(b, inverse));
        _mm_storeu_si128(reinterpret_cast<__m128i*>(values + block * 32), _mm512_cvtepi32_epi8(qa));
        _mm_storeu_si128(reinterpret_cast<__m128i*>(values + block * 32 + 16), _mm512_cvtepi32_epi8(qb));
        scales[block] = scale;
        const float sum_a = scale * _mm512_reduce_add_epi32(qa), sum_b = scale * _mm512_reduce_add_epi32(qb);
        if (whole)
            sums[block] = sum_a + sum_b;
        else
            sums[block * 2] = sum_a, sums[block * 2 + 1] = sum_b;
    }
}

} // namespace

extern const MatmulKernels matmul_vnni;
const MatmulKernels matmul_vnni = {pack, multiply};

} // namespace wave
