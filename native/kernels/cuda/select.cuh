// Which clusters are retrieved, exactly as native/wave/selection.h tells: by falling rank until they hold the
// budget's tokens, of equal ranks the first.
#pragma once

#include "score.cuh"

namespace repowave::cuda {

struct SelectArgs {
    const Ranked* ranked;
    uint32_t* chosen; ///< [kv_heads][tiles * 32] cluster numbers, ascending
    uint32_t* counts; ///< [kv_heads]
    uint32_t* bits;   ///< [kv_heads][tiles]
    int tile_count;
    uint32_t budget;
};

constexpr int kSelectThreads = 1024, kBins = 2048;
constexpr size_t kSelectShared = (kBins + 64 + 3) * sizeof(unsigned);

/// Sum over this lane and those before it.
__device__ __forceinline__ unsigned sum_to_lane(unsigned x, int lane) {
    for (int by = 1; by < 32; by *= 2) {
        const unsigned other = __shfl_up_sync(~0u, x, by);
        if (lane >= by) x += other;
    }
    return x;
}

/// grid kv_heads of 1024 threads: a radix selection over 11, 11 and 10 bits, whose bins count tokens.
__global__ void __launch_bounds__(kSelectThreads, 1) select_kernel(SelectArgs a) {
    SIMT_SHARED(shared);
    auto* const bins = reinterpret_cast<unsigned*>(shared); // [kBins]
    unsigned* const warp_sums = bins + kBins;               // [32], and [32] sums before each
    unsigned* const result = warp_sums + 64;                // bin, tokens still needed, all tokens
    const int head = blockIdx.x, thread = threadIdx.x, warp = thread / 32, lane = thread % 32;
    const int clusters = a.tile_count * kTileClusters;
    const Ranked* const ranked = a.ranked + static_cast<size_t>(head) * clusters;

    // The threshold: clusters above it are in, of those at it the first that hold `need` tokens.
    unsigned threshold = 0, need = a.budget;
    for (int pass = 0; pass < 3 && need > 0; pass++) {
        const int shift = pass == 0 ? 21 : pass == 1 ? 10 : 0, width = pass == 2 ? 10 : 11;
        const unsigned same = pass == 0 ? 0 : ~0u << (shift + width); // bits that are settled
        bins[thread] = bins[thread + kSelectThreads] = 0;
        __syncthreads();
        for (int i = thread; i < clusters; i += kSelectThreads) {
            const Ranked one = ranked[i];
            if (one.key && (one.key & same) == (threshold & same))
                atomicAdd(&bins[one.key >> shift & ((1u << width) - 1)], one.tokens);
        }
        __syncthreads();
        // A thread has two bins, the first thread the upmost ones.
        const unsigned upper = bins[kBins - 1 - 2 * thread], lower = bins[kBins - 2 - 2 * thread];
        const unsigned sum = sum_to_lane(upper + lower, lane);
        if (lane == 31) warp_sums[warp] = sum;
        __syncthreads();
        if (warp == 0) {
            const unsigned own = warp_sums[lane], up_to = sum_to_lane(own, lane);
            warp_sums[32 + lane] = up_to - own;
            if (lane == 31) result[2] = up_to;
        }
        __syncthreads();
        const unsigned before = warp_sums[32 + warp] + sum - upper - lower;
        if (before < need && before + upper >= need)
            result[0] = kBins - 1 - 2 * thread, result[1] = need - before;
        else if (before + upper < need && before + upper + lower >= need)
            result[0] = kBins - 2 - 2 * thread, result[1] = need - before - upper;
        __syncthreads();
        if (result[2] < need) { // in the first pass only: all clusters do not hold the budget
            need = ~0u;
            break;
        }
        threshold |= result[0] << shift;
        need = result[1];
    }
    // With need = ~0 the threshold is 0, above which every cluster is. Without a budget nothing is.
    if (a.budget == 0) threshold = ~0u;

    // Each warp has consecutive tiles, so that the list is in the order of the clusters.
    const int share = (a.tile_count + 31) / 32, first = min(warp * share, a.tile_count);
    const int end = min(first + share, a.tile_count);
    unsigned at_edge = 0;
    for (int t = first; t < end; t++) {
        const Ranked one = ranked[t * kTileClusters + lane];
        at_edge += one.key && one.key == threshold ? one.tokens : 0;
    }
    for (int bit = 1; bit < 32; bit *= 2) at_edge += __shfl_xor_sync(~0u, at_edge, bit);
    if (lane == 0) warp_sums[warp] = at_edge;
    __syncthreads();
    unsigned edge_before = 0;
    for (int w = 0; w < warp; w++) edge_before += warp_sums[w];
    unsigned edge = edge_before, chosen_here = 0;
    for (int t = first; t < end; t++) {
        const Ranked one = ranked[t * kTileClusters + lane];
        const unsigned own = one.key && one.key == threshold ? one.tokens : 0;
        const unsigned up_to = sum_to_lane(own, lane);
        const bool in = one.key > threshold || (own && edge + up_to - own < need);
        const uint32_t bits = __ballot_sync(~0u, in);
        if (lane == 0) a.bits[static_cast<size_t>(head) * a.tile_count + t] = bits;
        chosen_here += __popc(bits);
        edge += __shfl_sync(~0u, up_to, 31);
    }
    if (lane == 0) warp_sums[32 + warp] = chosen_here;
    __syncthreads();
    unsigned to = 0;
    for (int w = 0; w < warp; w++) to += warp_sums[32 + w];
    for (int t = first; t < end; t++) {
        const uint32_t bits = a.bits[static_cast<size_t>(head) * a.tile_count + t];
        if (bits >> lane & 1)
            a.chosen[static_cast<size_t>(head) * clusters + to + __popc(bits & ((1u << lane) - 1))] =
                t * kTileClusters + lane;
        to += __popc(bits);
    }
    if (warp == 31 && lane == 0) a.counts[head] = to;
}

} // namespace repowave::cuda
