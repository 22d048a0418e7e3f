// Plain C++ for every processor; also the description of what a vector type has to offer.
#include <bit>
#include <cmath>
#include <cstdint>

namespace {

float half_to_float(uint16_t h) {
    const uint32_t sign = static_cast<uint32_t>(h & 0x8000) << 16, exponent = (h >> 10) & 31,
                   mantissa = h & 1023;
    if (exponent == 0)
        return std::bit_cast<float>(sign | 0x3f800000) * std::ldexp(static_cast<float>(mantissa), -24);
    if (exponent == 31) return std::bit_cast<float>(sign | 0x7f800000 | (mantissa << 13));
    return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (mantissa << 13));
}

/// To nearest even, as the vector instructions do; above 65,504 infinity, NaN stays NaN.
uint16_t float_to_half(float x) {
    const uint32_t bits = std::bit_cast<uint32_t>(x), magnitude = bits & 0x7fffffff;
    const uint16_t sign = static_cast<uint16_t>((bits >> 16) & 0x8000);
    if (magnitude > 0x7f800000) return sign | 0x7e00;
    if (magnitude >= 0x477ff000) return sign | 0x7c00;
    if (magnitude < 0x38800000) // a denormal half: let the float adder round at 2^-24
        return sign | static_cast<uint16_t>(std::bit_cast<uint32_t>(std::bit_cast<float>(magnitude) + 0.5f) -
                                            0x3f000000);
    const uint32_t rounded = magnitude + 0xfff + ((magnitude >> 13) & 1);
    return sign | static_cast<uint16_t>((rounded - 0x38000000) >> 13);
}

struct Isa {
    using V = float;
    static constexpr int width = 1;        // elements of a V; a divisor of 16
    static constexpr int gemm_rows = 4;    // rows times columns of V are kept in registers
    static constexpr int gemm_columns = 4; // in units of V
    static V load(const float* p) { return *p; }
    static V load_f16(const uint16_t* p) { return half_to_float(*p); }
    static V load_i8(const uint8_t* p) { return static_cast<int8_t>(*p); }
    static void store(float* p, V x) { *p = x; }
    static void store_f16(uint16_t* p, V x) { *p = float_to_half(x); }
    static uint16_t to_f16(float x) { return float_to_half(x); }
    static float from_f16(uint16_t x) { return half_to_float(x); }
    static V set1(float x) { return x; }
    static V add(V a, V b) { return a + b; }
    static V mul(V a, V b) { return a * b; }
    static V fma(V a, V b, V c) { return a * b + c; }
    static V div(V a, V b) { return a / b; }
    static V negate(V x) { return -x; }
    static V negative_magnitude(V x) { return -std::fabs(x); }
    static V copy_sign(V magnitude, V sign) { return std::copysign(magnitude, sign); }
    static V max(V a, V b) { return a > b ? a : b; }
    static V round(V x) { return std::nearbyintf(x); }
    static V scale_by_power_of_2(V x, V n) { return n < -149 ? 0.0f : std::ldexp(x, static_cast<int>(n)); }
    static V zero_below(V x, V key, float limit) { return key < limit ? 0.0f : x; }
    static float reduce_add(V x) { return x; }
    static float reduce_max(V x) { return x; }
    static void transpose(V*) {} // width x width
};

} // namespace

#include "attend.inl"

namespace wave {
const Kernels kernels_scalar = REPOWAVE_KERNELS("scalar");
}
