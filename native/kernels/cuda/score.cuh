// The logits of all summaries, and the rank of every cluster: the mass that the estimation gives it among all
// clusters, summed over the query heads (WavePass::select on the CPU).
#pragma once

#include "fragments.cuh"
#include "structs.h"

namespace repowave::cuda {

struct ScoreArgs {
    const float* q;
    const Tile* tiles;
    float* logits; ///< [kv_heads][group][tiles][32] in units of 2^x, biases and log sizes included; -inf:
                   ///< nothing
    Mass* masses;  ///< [kv_heads][group][gridDim.x]: of the clusters that a block had
    int group, tile_count;
    Logits logit;
};

template <int D> constexpr size_t kScoreShared = sizeof(Queries<D>) + 4 * 8 * sizeof(Mass);

/// grid (blocks, kv_heads, passes) of 128 threads; a warp takes a tile at a time.
template <class T, int D> __global__ void __launch_bounds__(128) score_kernel(ScoreArgs a) {
    SIMT_SHARED(shared);
    auto& queries = *reinterpret_cast<Queries<D>*>(shared);
    auto* const masses = reinterpret_cast<Mass*>(shared + sizeof(Queries<D>)); // [4 warps][8 rows]
    const int head = blockIdx.y, first_row = blockIdx.z * kPassRows;
    const int rows = min(kPassRows, a.group - first_row);
    const int thread = threadIdx.x, warp = thread / 32, lane = thread % 32;
    const Lane at(lane);
    stage_queries<T, D>(queries, a.q + (static_cast<size_t>(head) * a.group + first_row) * D, rows, thread,
                        128);
    __syncthreads();

    const float factor = queries.factor[at.r];
    const size_t row = static_cast<size_t>(head) * a.group + first_row + at.r;
    float* const logits = a.logits + row * a.tile_count * kTileClusters;
    Mass mass = {kLow, 0.0f};
    for (int t = blockIdx.x * 4 + warp; t < a.tile_count; t += gridDim.x * 4) {
        const Tile tile = a.tiles[static_cast<size_t>(head) * a.tile_count + t];
        const int count = tile.bias > -INFINITY ? static_cast<int>(tile.count) : 0;
        Keys<D> keys[4];
#pragma unroll
        for (int j = 0; j < 4; j++)
            keys[j].load(static_cast<const uint16_t*>(tile.keys) + (8 * j + at.r) * D, 8 * j + at.r < count,
                         at.c);
        float s[4][2], top = mass.m;
#pragma unroll
        for (int j = 0; j < 4; j++) {
            multiply<T, D>(s[j][0], s[j][1], queries, keys[j], lane);
#pragma unroll
            for (int e = 0; e < 2; e++) {
                const int c = 8 * j + 2 * at.c + e;
                s[j][e] = c < count ? a.logit.of(s[j][e] * factor) + (tile.bias + tile.log_sizes[c]) * kLog2E
                                    : -INFINITY;
                top = max(top, s[j][e]);
            }
            if (at.r < rows)
                *reinterpret_cast<float2*>(logits + t * kTileClusters + 8 * j + 2 * at.c) = {s[j][0],
                                                                                             s[j][1]};
        }
        if (!tile.places) continue; // ranked are those that can be retrieved
        mass.l *= exp2_of(mass.m - top);
        mass.m = top;
#pragma unroll
        for (int j = 0; j < 4; j++) mass.l += exp2_of(s[j][0] - top) + exp2_of(s[j][1] - top);
    }
    mass = merge_lanes(mass, 1, 4);
    if (at.c == 0) masses[warp * 8 + at.r] = mass;
    __syncthreads();
    if (thread < rows) {
        mass = masses[thread];
        for (int w = 1; w < 4; w++) mass = merge(mass, masses[w * 8 + thread]);
        a.masses[(static_cast<size_t>(head) * a.group + first_row + thread) * gridDim.x + blockIdx.x] = mass;
    }
}

/// Integers in the order of the ranks; 0 is no cluster, or a hidden one.
struct Ranked {
    unsigned key, tokens;
};

struct RankArgs {
    const Tile* tiles;
    const float* logits;
    const Mass* masses; ///< [kv_heads][group][blocks]
    Ranked* ranked;     ///< [kv_heads][tiles][32]
    int group, tile_count, blocks;
};

/// grid (tiles / 8 rounded up, kv_heads) of 256 threads, group * sizeof(Mass) of shared memory.
__global__ void __launch_bounds__(256) rank_kernel(RankArgs a) {
    SIMT_SHARED(shared);
    auto* const masses = reinterpret_cast<Mass*>(shared); // [group]
    const int head = blockIdx.y, thread = threadIdx.x, warp = thread / 32, lane = thread % 32;
    const size_t first_row = static_cast<size_t>(head) * a.group;
    for (int row = warp; row < a.group; row += 8) {
        Mass mass = {kLow, 0.0f};
        for (int i = lane; i < a.blocks; i += 32)
            mass = merge(mass, a.masses[(first_row + row) * a.blocks + i]);
        mass = merge_lanes(mass, 1, 32);
        if (lane == 0) masses[row] = mass;
    }
    __syncthreads();
    const int t = blockIdx.x * 8 + warp;
    if (t >= a.tile_count) return;
    const Tile& tile = a.tiles[static_cast<size_t>(head) * a.tile_count + t];
    const bool ranked = tile.places && tile.bias > -INFINITY && lane < static_cast<int>(tile.count);
    const size_t clusters = static_cast<size_t>(a.tile_count) * kTileClusters;
    float rank = 0.0f;
    for (int row = 0; ranked && row < a.group; row++)
        rank += exp2_of(a.logits[(first_row + row) * clusters + t * kTileClusters + lane] - masses[row].m) /
                masses[row].l;
    // What is undefined comes first, as on the CPU; every order will do, since the result is undefined too.
    const unsigned key = rank >= 0.0f ? __float_as_uint(rank) + 1 : 0x80000000u;
    a.ranked[head * clusters + t * kTileClusters + lane] =
        ranked ? Ranked{key, tile.places[lane].tokens} : Ranked{0, 0};
}

} // namespace repowave::cuda
