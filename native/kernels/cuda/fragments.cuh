// Queries, keys and values as the matrix products take them. A pass has at most 8 query rows and the matrices
// 16: the rows below hold what 16 bits lose of the rows above, so that queries and weights count in full.
//
// A dot product does not care in which order its elements are added: lane (r, c) = (lane / 4, lane % 4) takes
// 8 consecutive elements of row r at 32 i + 8 c, one load of 16 bytes, as two steps of the product, of
// queries and keys alike. Where 16 elements are left it takes 4 of them, as one step.
#pragma once

#include "numbers.cuh"

namespace repowave::cuda {

/// A warp's place in a matrix product.
struct Lane {
    int r, c;
    __device__ __forceinline__ explicit Lane(int lane) : r(lane / 4), c(lane % 4) {}
};

template <int D> constexpr int kKeyParts = (D + 31) / 32;
template <int D> constexpr int kValueWords = D / 16; ///< of two elements, per lane and row

/// The queries of a pass in shared memory.
template <int D> struct Queries {
    uint4 high[kKeyParts<D>][32], low[kKeyParts<D>][32];
    float factor[8]; ///< per row: what its products are to be multiplied with
};

/// Rows are brought to around 1 first, so that half precision holds them. All threads of the block; the
/// caller synchronizes.
template <class T, int D>
__device__ void stage_queries(Queries<D>& to, const float* q, int rows, int thread, int threads) {
    const int lane = thread % 32;
    for (int row = thread / 32; row < 8; row += threads / 32) {
        float top = 0.0f;
        for (int d = lane; row < rows && d < D; d += 32) top = max(top, fabsf(q[row * D + d]));
        for (int bit = 1; bit < 32; bit *= 2) top = max(top, __shfl_xor_sync(~0u, top, bit));
        const bool usable = top > 1e-30f && top < 1e30f;
        const float power = usable ? exp2f(floorf(log2f(top))) : 1.0f;
        if (lane == 0) to.factor[row] = power;
        for (int word = lane; word < kKeyParts<D> * 16; word += 32) {
            const int part = word / 16, c = word % 16 / 4, i = word % 4;
            const int elements = D - 32 * part >= 32 ? 8 : 4;
            const int d = 32 * part + elements * c + 2 * i;
            const bool there = row < rows && 2 * i < elements;
            const float x = there ? q[row * D + d] / power : 0.0f;
            const float y = there ? q[row * D + d + 1] / power : 0.0f;
            const SplitPair pair = split<T>(x, y);
            reinterpret_cast<uint32_t*>(&to.high[part][4 * row + c])[i] = pair.high;
            reinterpret_cast<uint32_t*>(&to.low[part][4 * row + c])[i] = pair.low;
        }
    }
}

/// Loads of what is read once, from global memory.
struct Streamed {
    static __device__ __forceinline__ uint4 load16(const void* p) { return simt::load_stream16(p); }
    static __device__ __forceinline__ uint2 load8(const void* p) { return simt::load_stream8(p); }
    static __device__ __forceinline__ uint32_t load4(const void* p) { return simt::load_stream4(p); }
};

/// Loads of what several warps read, from any memory.
struct Shared {
    static __device__ __forceinline__ uint4 load16(const void* p) { return *static_cast<const uint4*>(p); }
    static __device__ __forceinline__ uint2 load8(const void* p) { return *static_cast<const uint2*>(p); }
    static __device__ __forceinline__ uint32_t load4(const void* p) {
        return *static_cast<const uint32_t*>(p);
    }
};

/// A lane's part of 8 keys: of row r.
template <int D> struct Keys {
    uint4 parts[kKeyParts<D>];

    /// `row` is not read unless `there`; then the lane's part is 0.
    template <class From = Streamed>
    __device__ __forceinline__ void load(const uint16_t* row, bool there, int c) {
#pragma unroll
        for (int i = 0; i < kKeyParts<D>; i++) {
            parts[i] = {0, 0, 0, 0};
            if (!there) continue;
            if (D - 32 * i >= 32) {
                parts[i] = From::load16(row + 32 * i + 8 * c);
            } else {
                const uint2 rest = From::load8(row + 32 * i + 4 * c);
                parts[i].x = rest.x, parts[i].y = rest.y;
            }
        }
    }
};

/// Adds the i-th part of a product: query row r times keys 2c and 2c + 1.
template <class T, int D>
__device__ __forceinline__ void multiply_part(float& s0, float& s1, const uint4& high, const uint4& low,
                                              const uint4& keys, int i) {
    simt::mma_two_halves<T>(s0, s1, {high.x, low.x, high.y, low.y}, keys.x, keys.y);
    if (D - 32 * i >= 32) simt::mma_two_halves<T>(s0, s1, {high.z, low.z, high.w, low.w}, keys.z, keys.w);
}

/// s0, s1: query row r times keys 2c and 2c + 1.
template <class T, int D>
__device__ __forceinline__ void multiply(float& s0, float& s1, const Queries<D>& q, const Keys<D>& keys,
                                         int lane) {
    s0 = s1 = 0.0f;
#pragma unroll
    for (int i = 0; i < kKeyParts<D>; i++)
        multiply_part<T, D>(s0, s1, q.high[i][lane], q.low[i][lane], keys.parts[i], i);
}

/// A lane's part of the values of one token: 8 consecutive elements of every 64, and its share of the rest.
template <int D> struct Values {
    static constexpr int kWhole = D / 64, kRest = D % 64; ///< kRest is 0, 16 or 32
    uint32_t words[kValueWords<D>];

    template <class From = Streamed>
    __device__ __forceinline__ void load(const uint16_t* row, bool there, int r) {
#pragma unroll
        for (int i = 0; i < kValueWords<D>; i++) words[i] = 0;
        if (!there) return;
#pragma unroll
        for (int i = 0; i < kWhole; i++) {
            const uint4 part = From::load16(row + 64 * i + 8 * r);
            words[4 * i] = part.x, words[4 * i + 1] = part.y;
            words[4 * i + 2] = part.z, words[4 * i + 3] = part.w;
        }
        if constexpr (kRest == 16) words[4 * kWhole] = From::load4(row + 64 * kWhole + 2 * r);
        if constexpr (kRest == 32) {
            const uint2 part = From::load8(row + 64 * kWhole + 4 * r);
            words[4 * kWhole] = part.x, words[4 * kWhole + 1] = part.y;
        }
    }

    /// Which element of a value is column n (0 ... 7) of the t-th (0 ... D / 8) product.
    static __device__ __forceinline__ int element(int t, int n) {
        const int word = t / 2;
        if (word < 4 * kWhole) return 64 * (word / 4) + 8 * n + 2 * (word % 4) + t % 2;
        return 64 * kWhole + kRest / 8 * n + 2 * (word - 4 * kWhole) + t % 2;
    }
};

/// A softmax and its weighted sum of values, of query row r, split over the lanes of a warp.
template <class T, int D> struct Accumulator {
    float o[D / 8][2]; ///< o[t][e] belongs to element Values<D>::element(t, 2c + e)
    float m = kLow;
    float l = 0.0f; ///< of this lane's keys

    __device__ __forceinline__ Accumulator() {
#pragma unroll
        for (int t = 0; t < D / 8; t++) o[t][0] = o[t][1] = 0.0f;
    }

    /// Adds keys 2c, 2c + 1, 2c + 8 and 2c + 9 with the logits s; values of the same tokens.
    __device__ __forceinline__ void add(const float (&s)[4], const Values<D> (&values)[4]) {
        float top = max(max(s[0], s[1]), max(s[2], s[3]));
        top = max(top, __shfl_xor_sync(~0u, top, 1));
        top = max(top, __shfl_xor_sync(~0u, top, 2));
        const float before = m;
        m = max(m, top);
        const float shrink = exp2_of(before - m);
        float weights[4];
#pragma unroll
        for (int j = 0; j < 4; j++) weights[j] = exp2_of(s[j] - m + kWeightShift);
        l = l * shrink + weights[0] + weights[1] + weights[2] + weights[3];
        const SplitPair near = split<T>(weights[0], weights[1]), far = split<T>(weights[2], weights[3]);
        const simt::MatrixA a = {near.high, near.low, far.high, far.low};
#pragma unroll
        for (int t = 0; t < D / 8; t++) {
            const unsigned half = t % 2 ? 0x7632 : 0x5410;
            o[t][0] *= shrink, o[t][1] *= shrink;
            simt::mma_two_halves<T>(o[t][0], o[t][1], a,
                                    __byte_perm(values[0].words[t / 2], values[1].words[t / 2], half),
                                    __byte_perm(values[2].words[t / 2], values[3].words[t / 2], half));
        }
    }
};

} // namespace repowave::cuda
