// Attention over pages and over the summaries that are left, split over blocks, and the merge of the splits
// by their log-sum-exp (FlashDecoding, Dao et al. 2023).
#pragma once

#include "pages.cuh"

namespace repowave::cuda {

struct AttendArgs {
    const float* q;
    const Run* pages;
    const HeadReport* reports;
    const Tile* tiles;
    const float* logits; ///< as score_kernel left them
    const uint32_t* bits;
    float* o;           ///< [kv_heads][group][splits][D]
    Mass* masses;       ///< [kv_heads][group][splits]
    float* page_logits; ///< null, or [kv_heads][group][max_pages][8] in units of 2^x
    int group, tile_count, max_pages;
    int exact_blocks, estimate_blocks;
    bool estimate;
    Logits logit;
};

template <int D>
constexpr size_t kAttendShared = sizeof(Queries<D>) + 4 * 8 * (D * sizeof(float) + sizeof(Mass));

/// Two pages at a time.
template <class T, int D>
__device__ __forceinline__ void attend_pages(Accumulator<T, D>& sum, const AttendArgs& a,
                                             const Queries<D>& queries, int head, int first_row, int warp,
                                             int lane) {
    const Lane at(lane);
    const float factor = queries.factor[at.r];
    const Run* const pages = a.pages + static_cast<size_t>(head) * a.max_pages;
    const int count = static_cast<int>(a.reports[head].pages);
    for (int p = 2 * (blockIdx.x * 4 + warp); p < count; p += 2 * 4 * a.exact_blocks) {
        Run pair[2] = {pages[p], {nullptr, 0, 0.0f}};
        if (p + 1 < count) pair[1] = pages[p + 1];
        Keys<D> keys[2];
        Values<D> values[4];
#pragma unroll
        for (int i = 0; i < 2; i++)
            keys[i].load(static_cast<const uint16_t*>(pair[i].slots) + at.r * 2 * D,
                         at.r < static_cast<int>(pair[i].tokens), at.c);
#pragma unroll
        for (int j = 0; j < 4; j++) {
            const int token = 2 * at.c + j % 2;
            values[j].load(static_cast<const uint16_t*>(pair[j / 2].slots) + token * 2 * D + D,
                           token < static_cast<int>(pair[j / 2].tokens), at.r);
        }
        float logits[4];
        multiply<T, D>(logits[0], logits[1], queries, keys[0], lane);
        multiply<T, D>(logits[2], logits[3], queries, keys[1], lane);
#pragma unroll
        for (int j = 0; j < 4; j++) {
            const bool there = 2 * at.c + j % 2 < static_cast<int>(pair[j / 2].tokens);
            logits[j] = there ? a.logit.of(logits[j] * factor) + pair[j / 2].bias * kLog2E : -INFINITY;
        }
        sum.add(logits, values);
        if (!a.page_logits || first_row + at.r >= a.group) continue;
        const size_t row = static_cast<size_t>(head) * a.group + first_row + at.r;
        float* const to = a.page_logits + (row * a.max_pages + p) * kPageTokens + 2 * at.c;
        to[0] = logits[0], to[1] = logits[1];
        if (p + 1 < count) to[kPageTokens] = logits[2], to[kPageTokens + 1] = logits[3];
    }
}

/// Half a tile at a time. A summary is a key with the logit that is there already, and the mean of the
/// values.
template <class T, int D>
__device__ __forceinline__ void attend_summaries(Accumulator<T, D>& sum, const AttendArgs& a, int head,
                                                 int first_row, int warp, int lane) {
    const Lane at(lane);
    const int row = min(first_row + at.r, a.group - 1);
    const size_t first_tile = static_cast<size_t>(head) * a.tile_count;
    const float* const logits =
        a.logits + (static_cast<size_t>(head) * a.group + row) * a.tile_count * kTileClusters;
    for (int i = (blockIdx.x - a.exact_blocks) * 4 + warp; i < 2 * a.tile_count; i += 4 * a.estimate_blocks) {
        const int t = i / 2, first = i % 2 * 16;
        const Tile tile = a.tiles[first_tile + t];
        const bool seen = tile.bias > -INFINITY && (a.estimate || !tile.places);
        if (!seen || first >= static_cast<int>(tile.count)) continue;
        const uint32_t retrieved = a.bits[first_tile + t];
        float s[4];
        Values<D> values[4];
#pragma unroll
        for (int j = 0; j < 4; j++) {
            const int c = first + j / 2 * 8 + 2 * at.c + j % 2;
            const bool there = c < static_cast<int>(tile.count) && !(retrieved >> c & 1);
            s[j] = there ? logits[t * kTileClusters + c] : -INFINITY;
            values[j].load(static_cast<const uint16_t*>(tile.values) + c * D, there, at.r);
        }
        sum.add(s, values);
    }
}

/// grid (exact_blocks + estimate_blocks, kv_heads, passes) of 128 threads.
template <class T, int D>
__global__ void __launch_bounds__(128, D > 128 ? 1 : 2) attend_kernel(AttendArgs a) {
    SIMT_SHARED(shared);
    auto& queries = *reinterpret_cast<Queries<D>*>(shared);
    auto* const o = reinterpret_cast<float*>(shared + sizeof(Queries<D>)); // [4 warps][8 rows][D]
    auto* const masses = reinterpret_cast<Mass*>(o + 4 * 8 * D);           // [4 warps][8 rows]
    const int head = blockIdx.y, first_row = blockIdx.z * kPassRows;
    const int rows = min(kPassRows, a.group - first_row);
    const int thread = threadIdx.x, warp = thread / 32, lane = thread % 32;
    const Lane at(lane);
    Accumulator<T, D> sum;
    if (static_cast<int>(blockIdx.x) < a.exact_blocks) {
        stage_queries<T, D>(queries, a.q + (static_cast<size_t>(head) * a.group + first_row) * D, rows,
                            thread, 128);
        __syncthreads();
        attend_pages<T, D>(sum, a, queries, head, first_row, warp, lane);
    } else {
        attend_summaries<T, D>(sum, a, head, first_row, warp, lane);
    }

    float l = sum.l + __shfl_xor_sync(~0u, sum.l, 1);
    l += __shfl_xor_sync(~0u, l, 2);
#pragma unroll
    for (int t = 0; t < D / 8; t++)
#pragma unroll
        for (int e = 0; e < 2; e++)
            o[(warp * 8 + at.r) * D + Values<D>::element(t, 2 * at.c + e)] = sum.o[t][e];
    if (at.c == 0) masses[warp * 8 + at.r] = {sum.m, l};
    __syncthreads();
    const int splits = a.exact_blocks + a.estimate_blocks;
    for (int i = thread; i < rows * D; i += 128) {
        const int row = i / D, d = i % D;
        float m = kLow, sum_l = 0.0f, x = 0.0f;
        for (int w = 0; w < 4; w++) m = max(m, masses[w * 8 + row].m);
        for (int w = 0; w < 4; w++) {
            const float factor = exp2_of(masses[w * 8 + row].m - m);
            sum_l += factor * masses[w * 8 + row].l;
            x += factor * o[(w * 8 + row) * D + d];
        }
        const size_t to = (static_cast<size_t>(head) * a.group + first_row + row) * splits + blockIdx.x;
        a.o[to * D + d] = x;
        if (d == 0) a.masses[to] = {m, sum_l};
    }
}

struct MergeArgs {
    const float* o;
    const Mass* masses;
    const float* sinks; ///< null, or [query heads]
    float* out;
    float* lse; ///< null, or [query heads]
    int splits;
};

/// grid query heads of D threads.
__global__ void __launch_bounds__(256) merge_kernel(MergeArgs a) {
    const size_t head = blockIdx.x;
    const int d = threadIdx.x, dimension = blockDim.x;
    const Mass* const masses = a.masses + head * a.splits;
    float m = a.sinks ? a.sinks[head] * kLog2E : kLow;
    for (int s = 0; s < a.splits; s++) m = max(m, masses[s].m);
    float l = a.sinks ? exp2_of(a.sinks[head] * kLog2E - m + kWeightShift) : 0.0f, x = 0.0f;
    for (int s = 0; s < a.splits; s++) {
        const float factor = exp2_of(masses[s].m - m);
        l += factor * masses[s].l;
        x += factor * a.o[(head * a.splits + s) * dimension + d];
    }
    a.out[head * dimension + d] = x / l;
    if (d == 0 && a.lse) a.lse[head] = (m - kWeightShift + log2f(l)) / kLog2E;
}

} // namespace repowave::cuda
