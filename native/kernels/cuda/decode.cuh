// One token of one layer in two halves: which clusters, and attention. No step of the host is needed between
// them, unless chosen clusters have to be brought first.
#pragma once

#include "mass.cuh"

namespace repowave::cuda {

/// The memory that the kernels of a step hand on.
struct Workspace {
    float* logits;
    Mass* score_masses;
    Ranked* ranked;
    uint32_t *chosen, *counts;
    float* o;
    Mass* masses;
    float* page_logits;
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
    part(to.o, rows * splits * plan.head_size);
    part(to.masses, rows * splits);
    part(to.page_logits, rows * plan.max_pages * kPageTokens);
    return bytes;
}

/// Of clusters that are ranked: those of plan.budget, told in step.bits.
inline void select(const Plan& p, const Step& step, const Workspace& w, cudaStream_t stream) {
    const SelectArgs a = {w.ranked, w.chosen, w.counts, step.bits, p.tiles, p.budget};
    SIMT_LAUNCH(select_kernel, dim3(p.kv_heads), dim3(kSelectThreads), kSelectShared, stream, a);
}

/// The kernels of a step, each to be started after the ones before it.
template <class T, int D> struct Stages {
    const Plan& p;
    const Step& step;
    const Workspace& w;
    cudaStream_t stream;

    unsigned heads() const { return p.kv_heads; }
    unsigned passes() const { return (p.group + kPassRows - 1) / kPassRows; }
    int splits() const { return p.exact_blocks + p.estimate_blocks; }

    void score() const {
        if (p.tiles == 0) return;
        const ScoreArgs a = {step.q,  step.tiles,           w.logits, w.score_masses, p.group,
                             p.tiles, {p.scale, p.soft_cap}};
        SIMT_LAUNCH((score_kernel<T, D>), dim3(p.score_blocks, heads(), passes()), dim3(128), kScoreShared<D>,
                    stream, a);
    }
    void rank() const {
        if (p.tiles == 0) return;
        const RankArgs a = {step.tiles, w.logits, w.score_masses, w.ranked, p.group, p.tiles, p.score_blocks};
        SIMT_LAUNCH(rank_kernel, dim3((p.tiles + 7) / 8, heads()), dim3(256), p.group * sizeof(Mass), stream,
                    a);
    }
    void select() const { cuda::select(p, step, w, stream); }
    void list_pages() const {
        const PageArgs a = {step.runs,
                            step.tiles,
                            w.chosen,
                            w.counts,
                            step.bits,
                            step.pages,
                            step.reports,
                            p.runs,
                            p.tiles,
                            p.max_pages,
                            2 * D * static_cast<int>(sizeof(T))};
        SIMT_LAUNCH(page_kernel, dim3(heads()), dim3(256), 10 * sizeof(unsigned), stream, a);
    }
    void attend() const {
        AttendArgs a{};
        a.q = step.q, a.tiles = step.tiles, a.logits = w.logits, a.bits = step.bits;
        a.pages = step.pages, a.reports = step.reports;
        a.o = w.o, a.masses = w.masses, a.page_logits = step.mass ? w.page_logits : nullptr;
        a.group = p.group, a.tile_count = p.tiles, a.max_pages = p.max_pages;
        a.exact_blocks = p.exact_blocks, a.estimate_blocks = p.estimate_blocks;
        a.estimate = p.estimate, a.logit = {p.scale, p.soft_cap};
        SIMT_LAUNCH((attend_kernel<T, D>), dim3(splits(), heads(), passes()), dim3(128), kAttendShared<D>,
                    stream, a);
    }
    void merge() const {
        const MergeArgs a = {w.o, w.masses, step.sinks, step.out, step.lse, splits()};
        SIMT_LAUNCH(merge_kernel, dim3(heads() * p.group), dim3(D), 0, stream, a);
    }
    void tell_mass() const {
        if (!step.mass) return;
        const MassArgs a = {w.page_logits, step.lse, step.pages, step.reports,
                            step.mass,     p.group,  p.max_pages};
        SIMT_LAUNCH(mass_kernel, dim3((p.max_pages * kPageTokens + 255) / 256, heads()), dim3(256), 0, stream,
                    a);
    }
    void tell_coarse() const {
        if (!step.coarse) return;
        const CoarseArgs a = {w.logits, step.lse, step.tiles, step.coarse, p.group, p.tiles};
        SIMT_LAUNCH(coarse_kernel, dim3(heads() * p.group), dim3(256), 8 * sizeof(float), stream, a);
    }
};

template <class T, int D>
void choose(const Plan& plan, const Step& step, const Workspace& workspace, cudaStream_t stream) {
    const Stages<T, D> stages{plan, step, workspace, stream};
    stages.score();
    stages.rank();
    stages.select();
}

template <class T, int D>
void attend(const Plan& plan, const Step& step, const Workspace& workspace, cudaStream_t stream) {
    const Stages<T, D> stages{plan, step, workspace, stream};
    stages.list_pages();
    stages.attend();
    stages.merge();
    stages.tell_mass();
    stages.tell_coarse();
}

} // namespace repowave::cuda
