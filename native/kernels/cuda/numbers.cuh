// Numbers of 16 bits, and softmax in the units of 2^x.
#pragma once

#include "simt.h"

namespace repowave::cuda {

constexpr float kLog2E = 1.4426950408889634f;
/// A maximum before there is one. Not -infinity, of which differences would be undefined.
constexpr float kLow = -1e30f;
/// Weights are multiplied by 2^12 before they become half precision, so that those of many small clusters
/// keep their bits; the sum of weights is too, so that nothing is left of it in the result.
constexpr float kWeightShift = 12.0f;

__device__ __forceinline__ float exp2_of(float x) {
    return simt::exp2_fast(x);
}

template <class T> struct Number;
template <> struct Number<__half> {
    static __device__ __forceinline__ __half of(float x) { return __float2half_rn(x); }
    static __device__ __forceinline__ float value(__half x) { return __half2float(x); }
};
template <> struct Number<__nv_bfloat16> {
    static __device__ __forceinline__ __nv_bfloat16 of(float x) { return __float2bfloat16_rn(x); }
    static __device__ __forceinline__ float value(__nv_bfloat16 x) { return __bfloat162float(x); }
};

/// Two numbers as sums of two numbers of 16 bits each: what the first one loses is in the second.
struct SplitPair {
    uint32_t high, low;
};

template <class T> __device__ __forceinline__ SplitPair split(float x, float y) {
    union {
        T numbers[2];
        uint32_t bits;
    } high, low;
    high.numbers[0] = Number<T>::of(x), high.numbers[1] = Number<T>::of(y);
    low.numbers[0] = Number<T>::of(x - Number<T>::value(high.numbers[0]));
    low.numbers[1] = Number<T>::of(y - Number<T>::value(high.numbers[1]));
    return {high.bits, low.bits};
}

/// A softmax so far: m the maximum, l the sum of 2^(logit - m).
struct Mass {
    float m, l;
};

__device__ __forceinline__ Mass merge(Mass a, Mass b) {
    const float m = max(a.m, b.m);
    return {m, a.l * exp2_of(a.m - m) + b.l * exp2_of(b.m - m)};
}

/// Over lanes whose numbers differ in the bits from..below `to`.
__device__ __forceinline__ Mass merge_lanes(Mass mass, int from, int to) {
    for (int bit = from; bit < to; bit *= 2) {
        const Mass other = {__shfl_xor_sync(~0u, mass.m, bit), __shfl_xor_sync(~0u, mass.l, bit)};
        mass = merge(mass, other);
    }
    return mass;
}

/// Of a product q . k, before biases, in the units of 2^x.
struct Logits {
    float scale, soft_cap;
    __device__ __forceinline__ float of(float product) const {
        const float logit = product * scale;
        return (soft_cap > 0.0f ? soft_cap * tanhf(logit / soft_cap) : logit) * kLog2E;
    }
};

} // namespace repowave::cuda
