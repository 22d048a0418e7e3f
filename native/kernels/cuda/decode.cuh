// One token of one layer: six kernels in a row, with no step of the host between them.
#pragma once

#include "attend.cuh"

namespace repowave::cuda {

/// The memory that the kernels of a step hand on.
struct Workspace {
    float* logits;
    Mass* score_masses;
    Ranked* ranked;
    uint32_t *chosen, *counts;
    Run* pages;
    float* o;
    Mass* masses;
};

/// Lays the parts out behind `base`. @returns the bytes that they take, each part 256-byte aligned
inline size_t lay_out(const Plan& plan, void* base, Workspace& to) {
    size_t bytes = 0;
    const auto part = [&](auto*& pointer, size_t count) {
        pointer =
            reinterpret_cast<std::remove_reference_t<decltype(pointer)>>(static_cast<char*>(base) + bytes);
        bytes += (count * sizeof(*pointer) + 255) / 256 * 256;
    };
    const size_t heads = plan.kv_heads, rows = heads * plan.group;
    const size_t clusters = static_cast<size_t>(plan.tiles) * kTileClusters;
    const size_t splits = plan.exact_blocks + plan.estimate_blocks;
    part(to.logits, rows * clusters);
    part(to.score_masses, rows * plan.score_blocks);
    part(to.ranked, heads * clusters);
    part(to.chosen, heads * clusters);
    part(to.counts, heads);
    part(to.pages, heads * plan.max_pages);
    part(to.o, rows * splits * plan.head_size);
    part(to.masses, rows * splits);
    return bytes;
}

template <class T, int D>
void decode(const Plan& p, const Step& step, const Workspace& w, cudaStream_t stream) {
    const Logits logit = {p.scale, p.soft_cap};
    const unsigned heads = p.kv_heads, passes = (p.group + kPassRows - 1) / kPassRows;
    if (p.tiles > 0) {
        const ScoreArgs score = {step.q, step.tiles, w.logits, w.score_masses, p.group, p.tiles, logit};
        SIMT_LAUNCH((score_kernel<T, D>), dim3(p.score_blocks, heads, passes), dim3(128), kScoreShared<D>,
                    stream, score);
        const RankArgs rank = {step.tiles, w.logits, w.score_masses, w.ranked,
                               p.group,    p.tiles,  p.score_blocks};
        SIMT_LAUNCH(rank_kernel, dim3((p.tiles + 7) / 8, heads), dim3(256), p.group * sizeof(Mass), stream,
                    rank);
    }
    const SelectArgs select = {w.ranked, w.chosen, w.counts, step.bits, p.tiles, p.budget};
    SIMT_LAUNCH(select_kernel, dim3(heads), dim3(kSelectThreads), kSelectShared, stream, select);
    const PageArgs page = {step.runs,
                           step.tiles,
                           w.chosen,
                           w.counts,
                           step.bits,
                           w.pages,
                           step.reports,
                           p.runs,
                           p.tiles,
                           p.max_pages,
                           2 * D * static_cast<int>(sizeof(T))};
    SIMT_LAUNCH(page_kernel, dim3(heads), dim3(256), 10 * sizeof(unsigned), stream, page);
    const AttendArgs attend = {
        step.q,  w.pages, step.reports, step.tiles,     w.logits,          step.bits,  w.o,  w.masses,
        p.group, p.tiles, p.max_pages,  p.exact_blocks, p.estimate_blocks, p.estimate, logit};
    SIMT_LAUNCH((attend_kernel<T, D>), dim3(p.exact_blocks + p.estimate_blocks, heads, passes), dim3(128),
                kAttendShared<D>, stream, attend);
    const MergeArgs merge = {w.o,      w.masses, step.sinks,
                             step.out, step.lse, p.exact_blocks + p.estimate_blocks};
    SIMT_LAUNCH(merge_kernel, dim3(heads * p.group), dim3(D), 0, stream, merge);
}

} // namespace repowave::cuda
