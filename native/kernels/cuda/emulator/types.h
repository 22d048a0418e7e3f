// The words and types of CUDA C++ that the kernels use.
#pragma once

#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)

struct alignas(8) uint2 {
    unsigned x, y;
};
struct alignas(8) float2 {
    float x, y;
};
struct alignas(16) uint4 {
    unsigned x, y, z, w;
};
struct uint3 {
    unsigned x, y, z;
};
struct dim3 {
    unsigned x, y, z;
    constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};

struct __half {
    uint16_t bits;
};
struct __nv_bfloat16 {
    uint16_t bits;
};

namespace simt {

/// All 65,536 half-precision numbers: looking one up is what makes matrix products quick here.
inline const std::array<float, 1 << 16>& half_values() {
    static const auto table = [] {
        std::array<float, 1 << 16> values;
        for (unsigned i = 0; i < values.size(); i++)
            values[i] = static_cast<float>(std::bit_cast<_Float16>(static_cast<uint16_t>(i)));
        return values;
    }();
    return table;
}

} // namespace simt

inline float __half2float(__half x) {
    return simt::half_values()[x.bits];
}
inline __half __float2half_rn(float x) {
    return {std::bit_cast<uint16_t>(static_cast<_Float16>(x))};
}
inline float __bfloat162float(__nv_bfloat16 x) {
    return std::bit_cast<float>(static_cast<uint32_t>(x.bits) << 16);
}
inline __nv_bfloat16 __float2bfloat16_rn(float x) {
    const auto bits = std::bit_cast<uint32_t>(x);
    if (x != x) return {0x7fff};
    return {static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1)) >> 16)};
}

inline unsigned __float_as_uint(float x) {
    return std::bit_cast<unsigned>(x);
}
inline int __ffs(int x) {
    return x ? std::countr_zero(static_cast<unsigned>(x)) + 1 : 0;
}
inline int __popc(unsigned x) {
    return std::popcount(x);
}
inline unsigned __byte_perm(unsigned a, unsigned b, unsigned selector) {
    const uint64_t bytes = static_cast<uint64_t>(b) << 32 | a;
    unsigned result = 0;
    for (int i = 0; i < 4; i++)
        result |= static_cast<unsigned>(bytes >> (8 * (selector >> (4 * i) & 7)) & 255) << (8 * i);
    return result;
}

/// As in CUDA, of a number and NaN the number.
inline float max(float a, float b) {
    return std::fmax(a, b);
}
inline int min(int a, int b) {
    return a < b ? a : b;
}
inline int max(int a, int b) {
    return a > b ? a : b;
}
inline unsigned min(unsigned a, unsigned b) {
    return a < b ? a : b;
}
