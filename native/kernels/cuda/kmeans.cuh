// Spherical k-means of the keys of one layer, each KV head's for itself: native/wave/clusters.cpp on the
// device. Nothing is added by atomics, and every sum has one order, so that the result is always the same.
//
// Products of points and centroids are of 32 bits in effect: both are the sum of two numbers of half
// precision each, and only the product of the two small parts is left out.
#pragma once

#include "fragments.cuh"
#include "structs.h"

namespace repowave::cuda {

constexpr int kClusterTokens = 16, kClusterIterations = 4; ///< as in native/wave/clusters.h
constexpr int kMeanParts = 4;
constexpr int kAssignWarps = 4;
/// Of centroids, which are of length 1, so that their small parts are normal numbers too.
constexpr float kCentroidScale = 256.0f;

inline int cluster_limit(int points) {
    const int clusters = (points + kClusterTokens / 2) / kClusterTokens;
    return clusters > 1 ? clusters : 1;
}

struct CentreArgs {
    const void* const* slots; ///< [kv_heads]
    float* points;            ///< [kv_heads][count][D]
    int count;
};

/// grid kv_heads of (D, kMeanParts) threads: keys around their mean, as floats.
template <class T, int D> __global__ void __launch_bounds__(D* kMeanParts) centre_kernel(CentreArgs a) {
    SIMT_SHARED(shared);
    auto* const sums = reinterpret_cast<double*>(shared); // [kMeanParts][D]
    const int d = threadIdx.x, part = threadIdx.y;
    const auto* const keys = static_cast<const T*>(a.slots[blockIdx.x]);
    double sum = 0;
    for (int i = part; i < a.count; i += kMeanParts)
        sum += static_cast<double>(Number<T>::value(keys[static_cast<size_t>(i) * 2 * D + d]));
    sums[part * D + d] = sum;
    __syncthreads();
    sum = 0;
    for (int p = 0; p < kMeanParts; p++) sum += sums[p * D + d];
    const auto mean = static_cast<float>(sum / a.count);
    float* const points = a.points + static_cast<size_t>(blockIdx.x) * a.count * D;
    for (int i = part; i < a.count; i += kMeanParts)
        points[static_cast<size_t>(i) * D + d] =
            Number<T>::value(keys[static_cast<size_t>(i) * 2 * D + d]) - mean;
}

struct CentroidArgs {
    const float* points;
    const uint32_t* nearest; ///< null at first, or [kv_heads][count]
    __half *high, *low;      ///< [kv_heads][clusters][D]: centroids as sums of two numbers
    int count, clusters;
};

/// grid (clusters / 8 rounded up, kv_heads) of 256 threads: a warp makes a centroid, the unit vector in the
/// direction of its points' sum, in the order of the points. Without points it stays.
template <int D> __global__ void __launch_bounds__(256) centroid_kernel(CentroidArgs a) {
    const int lane = threadIdx.x % 32, head = blockIdx.y;
    const int own = static_cast<int>(blockIdx.x) * 8 + static_cast<int>(threadIdx.x) / 32;
    if (own >= a.clusters) return;
    constexpr int kParts = (D + 31) / 32;
    const float* const points = a.points + static_cast<size_t>(head) * a.count * D;
    float sum[kParts] = {};
    bool any = false;
    const auto add = [&](int point) {
        any = true;
#pragma unroll
        for (int i = 0; i < kParts; i++)
            if (32 * i + lane < D) sum[i] += points[static_cast<size_t>(point) * D + 32 * i + lane];
    };
    if (!a.nearest) add(static_cast<int>((2 * static_cast<int64_t>(own) + 1) * a.count / (2 * a.clusters)));
    for (int first = 0; a.nearest && first < a.count; first += 32) {
        const int point = first + lane;
        const bool is_own = point < a.count && a.nearest[static_cast<size_t>(head) * a.count + point] ==
                                                   static_cast<uint32_t>(own);
        for (unsigned members = __ballot_sync(~0u, is_own); members; members &= members - 1)
            add(first + __ffs(static_cast<int>(members)) - 1);
    }
    if (!any) return;
    float square = 0.0f;
#pragma unroll
    for (int i = 0; i < kParts; i++) square += sum[i] * sum[i];
    for (int bit = 1; bit < 32; bit *= 2) square += __shfl_xor_sync(~0u, square, bit);
    const float factor = square == 0.0f ? 0.0f : kCentroidScale / sqrtf(square);
    const size_t to = (static_cast<size_t>(head) * a.clusters + own) * D;
#pragma unroll
    for (int i = 0; i < kParts; i++) {
        const int d = 32 * i + lane;
        if (d >= D) continue;
        const float x = sum[i] * factor;
        a.high[to + d] = __float2half_rn(x);
        a.low[to + d] = __float2half_rn(x - __half2float(a.high[to + d]));
    }
}

/// A centroid and a point's product with it.
struct Nearest {
    float product;
    uint32_t centroid;
};

/// Of equal products the first centroid's.
__device__ __forceinline__ Nearest better(Nearest a, Nearest b) {
    return b.product > a.product || (b.product == a.product && b.centroid < a.centroid) ? b : a;
}

struct AssignArgs {
    const float* points;
    const __half *high, *low;
    uint32_t* nearest;
    int count, clusters;
};

/// grid (points / 32 rounded up, kv_heads) of 128 threads: a warp takes 8 points past all centroids. Of a
/// point only its direction counts.
template <int D> __global__ void __launch_bounds__(32 * kAssignWarps, 4) assign_kernel(AssignArgs a) {
    SIMT_SHARED(shared);
    const int warp = threadIdx.x / 32, head = blockIdx.y;
    const Lane at(threadIdx.x % 32);
    const int lane = threadIdx.x % 32, first = (blockIdx.x * kAssignWarps + warp) * 8;
    if (first >= a.count) return;
    auto& points = reinterpret_cast<Queries<D>*>(shared)[warp];
    stage_queries<__half, D>(points, a.points + (static_cast<size_t>(head) * a.count + first) * D,
                             min(8, a.count - first), lane, 32);
    __syncwarp();
    const size_t base = static_cast<size_t>(head) * a.clusters * D;
    const auto* const high = reinterpret_cast<const uint16_t*>(a.high) + base;
    const auto* const low = reinterpret_cast<const uint16_t*>(a.low) + base;
    Nearest best = {-INFINITY, 0};
    for (int c = 0; c < a.clusters; c += 8) {
        const bool there = c + at.r < a.clusters;
        Keys<D> large, small;
        large.template load<Shared>(high + static_cast<size_t>(c + at.r) * D, there, at.c);
        small.template load<Shared>(low + static_cast<size_t>(c + at.r) * D, there, at.c);
        float s[2] = {0.0f, 0.0f};
#pragma unroll
        for (int i = 0; i < kKeyParts<D>; i++) {
            multiply_part<__half, D>(s[0], s[1], points.high[i][lane], points.low[i][lane], large.parts[i],
                                     i);
            multiply_part<__half, D>(s[0], s[1], points.high[i][lane], {0, 0, 0, 0}, small.parts[i], i);
        }
        for (int e = 0; e < 2; e++) {
            const auto centroid = static_cast<uint32_t>(c + 2 * at.c + e);
            if (centroid < static_cast<uint32_t>(a.clusters)) best = better(best, {s[e], centroid});
        }
    }
    for (int bit = 1; bit < 4; bit *= 2)
        best =
            better(best, {__shfl_xor_sync(~0u, best.product, bit), __shfl_xor_sync(~0u, best.centroid, bit)});
    if (at.c == 0 && first + at.r < a.count)
        a.nearest[static_cast<size_t>(head) * a.count + first + at.r] = best.centroid;
}

/// The memory that the kernels hand on.
struct ClusterWorkspace {
    float* points;
    __half *high, *low;
};

/// Lays the parts out behind `base`. @returns the bytes that they take
inline size_t lay_out(const Clustering& c, void* base, ClusterWorkspace& to) {
    const size_t centroids = static_cast<size_t>(c.kv_heads) * cluster_limit(c.tokens) * c.head_size;
    const size_t points = static_cast<size_t>(c.kv_heads) * c.tokens * c.head_size;
    to.points = static_cast<float*>(base);
    to.high = reinterpret_cast<__half*>(to.points + points);
    to.low = to.high + centroids;
    return points * sizeof(float) + 2 * centroids * sizeof(__half);
}

template <class T, int D> void cluster(const Clustering& c, void* workspace, cudaStream_t stream) {
    ClusterWorkspace w;
    lay_out(c, workspace, w);
    const int clusters = cluster_limit(c.tokens), heads = c.kv_heads;
    const CentreArgs centred = {c.slots, w.points, c.tokens};
    SIMT_LAUNCH((centre_kernel<T, D>), dim3(heads), dim3(D, kMeanParts), kMeanParts * D * sizeof(double),
                stream, centred);
    for (int iteration = 0; iteration < kClusterIterations; iteration++) {
        const CentroidArgs moved = {w.points, iteration ? c.nearest : nullptr, w.high, w.low, c.tokens,
                                    clusters};
        SIMT_LAUNCH((centroid_kernel<D>), dim3((clusters + 7) / 8, heads), dim3(256), 0, stream, moved);
        const AssignArgs assigned = {w.points, w.high, w.low, c.nearest, c.tokens, clusters};
        SIMT_LAUNCH((assign_kernel<D>), dim3((c.tokens + 8 * kAssignWarps - 1) / (8 * kAssignWarps), heads),
                    dim3(32 * kAssignWarps), kAssignWarps * sizeof(Queries<D>), stream, assigned);
    }
}

} // namespace repowave::cuda
