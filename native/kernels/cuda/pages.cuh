// The list of pages that attention goes over: those of the runs, then those of the retrieved clusters, with
// the places that the mapping table tells.
#pragma once

#include "select.cuh"

namespace repowave::cuda {

struct PageArgs {
    const Run* runs; ///< [kv_heads][run_count]
    const Tile* tiles;
    const uint32_t* chosen;
    const uint32_t* counts;
    uint32_t* bits; ///< those of late clusters are cleared: they are estimated
    Run* pages;     ///< [kv_heads][max_pages] of at most kPageTokens
    HeadReport* reports;
    int run_count, tile_count, max_pages, slot_bytes;
};

/// The i-th of the runs and then the chosen clusters; `cluster` is its number, or -1.
__device__ __forceinline__ Run listed(const PageArgs& a, int head, int i, int& cluster, bool& scattered) {
    cluster = -1;
    scattered = false;
    if (i < a.run_count) return a.runs[static_cast<size_t>(head) * a.run_count + i];
    const size_t first = static_cast<size_t>(head) * a.tile_count;
    cluster = static_cast<int>(a.chosen[first * kTileClusters + i - a.run_count]);
    const Tile& tile = a.tiles[first + cluster / kTileClusters];
    const Place place = tile.places[cluster % kTileClusters];
    scattered = place.scattered;
    return {place.slots, place.slots ? place.tokens : 0, tile.bias};
}

/// grid kv_heads of 256 threads. What finds no room is late, never lost.
__global__ void __launch_bounds__(256) page_kernel(PageArgs a) {
    SIMT_SHARED(shared);
    auto* const warp_sums = reinterpret_cast<unsigned*>(shared); // [8]
    unsigned* const late = warp_sums + 8;                        // clusters, and runs without room
    const int head = blockIdx.x, thread = threadIdx.x, warp = thread / 32, lane = thread % 32;
    const unsigned chosen = a.counts[head], room = a.max_pages;
    const int items = a.run_count + static_cast<int>(chosen);
    Run* const pages = a.pages + static_cast<size_t>(head) * a.max_pages;
    if (thread < 2) late[thread] = 0;
    unsigned base = 0;
    for (int first = 0; first < items; first += 256) {
        int cluster = -1;
        Run run = {nullptr, 0, 0.0f};
        bool scattered = false;
        if (first + thread < items) run = listed(a, head, first + thread, cluster, scattered);
        const bool hidden = !(run.bias > -INFINITY);
        const unsigned needed = hidden ? 0 : (run.tokens + kPageTokens - 1) / kPageTokens;
        const unsigned up_to = sum_to_lane(needed, lane);
        if (lane == 31) warp_sums[warp] = up_to;
        __syncthreads();
        unsigned at = base + up_to - needed;
        for (int w = 0; w < 8; w++) {
            if (w < warp) at += warp_sums[w];
            base += warp_sums[w];
        }
        const bool fits = needed == 0 || at + needed <= room;
        if (cluster >= 0 && (needed == 0 || !fits)) {
            atomicAnd(&a.bits[static_cast<size_t>(head) * a.tile_count + cluster / kTileClusters],
                      ~(1u << cluster % kTileClusters));
            atomicAdd(&late[0], 1u);
        }
        if (cluster < 0 && !fits) atomicAdd(&late[1], 1u);
        for (unsigned p = 0; fits && p < needed; p++)
            pages[at + p] = {scattered ? static_cast<const void* const*>(run.slots)[p]
                                       : static_cast<const char*>(run.slots) +
                                             static_cast<size_t>(p) * kPageTokens * a.slot_bytes,
                             min(static_cast<unsigned>(kPageTokens), run.tokens - p * kPageTokens), run.bias};
        // What did not fit left a hole, and all behind it find no room either.
        for (unsigned p = at; !fits && p < min(at + needed, room); p++) pages[p] = {nullptr, 0, 0.0f};
        __syncthreads(); // before the sums are written again
    }
    if (thread == 0) a.reports[head] = {chosen, late[0], min(base, room), late[1] > 0 ? 1u : 0u};
}

} // namespace repowave::cuda
