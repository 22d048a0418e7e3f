// How much attention every token of the pages got: what evidence is made of.
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

} // namespace repowave::cuda
