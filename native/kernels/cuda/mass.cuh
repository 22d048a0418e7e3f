// How much attention every token of the pages got, which is what evidence is made of, and all coarse
// summaries together.
#pragma once

#include "attend.cuh"

namespace repowave::cuda {

struct MassArgs {
    const float* logits; ///< [kv_heads][group][max_pages][8], as attend_kernel left them
    const float* lse;    ///< [kv_heads][group]
    const Run* pages;
    const HeadReport* reports;
    float* mass; ///< [kv_heads][max_pages][8], summed over the group
    int group, max_pages;
};

/// grid (max_pages / 32 rounded up, kv_heads) of 256 threads: one for each token.
__global__ void __launch_bounds__(256) mass_kernel(MassArgs a) {
    const int head = blockIdx.y, token = blockIdx.x * 256 + threadIdx.x;
    const int page = token / kPageTokens, room = a.max_pages * kPageTokens;
    if (token >= room) return;
    const bool there = page < static_cast<int>(a.reports[head].pages) &&
                       token % kPageTokens <
                           static_cast<int>(a.pages[static_cast<size_t>(head) * a.max_pages + page].tokens);
    float mass = 0.0f;
    for (int row = head * a.group; there && row < (head + 1) * a.group; row++)
        mass += exp2_of(a.logits[static_cast<size_t>(row) * room + token] - a.lse[row] * kLog2E);
    a.mass[static_cast<size_t>(head) * room + token] = mass;
}

struct CoarseArgs {
    const float* logits; ///< as score_kernel left them
    const float* lse;    ///< [kv_heads][group]
    const Tile* tiles;
    float* coarse; ///< [kv_heads][group]
    int group, tile_count;
};

/// grid query heads of 256 threads; a warp takes a tile at a time.
__global__ void __launch_bounds__(256) coarse_kernel(CoarseArgs a) {
    SIMT_SHARED(shared);
    auto* const sums = reinterpret_cast<float*>(shared); // [8]
    const int row = blockIdx.x, warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    const Tile* const tiles = a.tiles + static_cast<size_t>(row / a.group) * a.tile_count;
    const float* const logits = a.logits + static_cast<size_t>(row) * a.tile_count * kTileClusters;
    const float lse = a.lse[row] * kLog2E;
    float mass = 0.0f;
    for (int t = warp; t < a.tile_count; t += 8)
        if (!tiles[t].places) mass += exp2_of(logits[t * kTileClusters + lane] - lse);
    for (int bit = 1; bit < 32; bit *= 2) mass += __shfl_xor_sync(~0u, mass, bit);
    if (lane == 0) sums[warp] = mass;
    __syncthreads();
    if (threadIdx.x == 0) {
        for (int w = 1; w < 8; w++) mass += sums[w];
        a.coarse[row] = mass;
    }
}

} // namespace repowave::cuda
