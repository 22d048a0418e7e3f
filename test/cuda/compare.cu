// One layer of stored tokens, as compare.py has it in PyTorch's tensors, attended to by the kernels: so that the same
// tensors can be given to PyTorch's own attention. Compiled by nvcc, or by a C++ compiler for the emulator.
#include "kernels/cuda/library.h"
#include "kernels/cuda/simt.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

using namespace repowave::cuda;

namespace {

struct Layer {
    Plan plan{};
    Step step{};
    void* workspace = nullptr;
    std::vector<void*> memory;

    ~Layer() {
        for (void* each : memory) cudaFree(each);
    }
    /// @returns null when there is no room
    template <class T> T* reserve(size_t count) {
        void* p = nullptr;
        if (repowave_cuda_allocate(&p, count * sizeof(T), 0)) return nullptr;
        memory.push_back(p);
        return static_cast<T*>(p);
    }
    template <class T> T* copy(const std::vector<T>& from) {
        T* const p = reserve<T>(from.size());
        if (p) repowave_cuda_copy(p, from.data(), from.size() * sizeof(T), nullptr);
        return p;
    }
};

template <class T> const T* at(const void* base, size_t index) {
    return static_cast<const T*>(base) + index;
}

} // namespace

extern "C" {

/// What compare.py says of a layer; K, V and summaries are 16-bit floats in memory of the device.
struct CompareLayer {
    int head_size, kv_heads, group;
    int clusters;                         ///< per KV head
    int tokens, steady;                   ///< per KV head: in clusters, and beside them
    const void *slots, *steady_slots;     ///< [kv_heads][tokens][2][D], cluster by cluster; [kv_heads][steady][2][D]
    const void *keys, *values;            ///< [kv_heads][clusters][D] means
    const float* log_sizes;               ///< [kv_heads][clusters]
    const int* sizes;                     ///< [kv_heads][clusters], in memory of the host
    int budget;                           ///< tokens to retrieve per KV head
    int processors;                       ///< multiprocessors of the device
};

/// @returns null when there is no room, or there are no kernels for the shape
void* compare_open(const CompareLayer* from) {
    const CompareLayer& in = *from;
    const size_t row = in.head_size, slot = 2 * row;
    const int tiles = (in.clusters + kTileClusters - 1) / kTileClusters;
    auto layer = std::make_unique<Layer>();
    std::vector<Place> places;
    std::vector<Run> runs;
    uint32_t largest = 0;
    for (int head = 0; head < in.kv_heads; head++) {
        size_t token = size_t(head) * in.tokens;
        for (int c = 0; c < in.clusters; c++) {
            const auto size = static_cast<uint32_t>(in.sizes[head * in.clusters + c]);
            places.push_back({size ? at<uint16_t>(in.slots, token * slot) : nullptr, size, 0});
            token += size, largest = std::max(largest, size);
        }
        runs.push_back({at<uint16_t>(in.steady_slots, size_t(head) * in.steady * slot),
                        static_cast<uint32_t>(in.steady), 0});
    }
    const Place* const map = layer->copy(places);
    std::vector<Tile> list;
    for (int head = 0; head < in.kv_heads; head++)
        for (int t = 0; t < tiles; t++) {
            const size_t first = size_t(head) * in.clusters + size_t(t) * kTileClusters;
            const uint32_t count = std::min(kTileClusters, in.clusters - t * kTileClusters);
            list.push_back({at<uint16_t>(in.keys, first * row), at<uint16_t>(in.values, first * row),
                            in.log_sizes + first, map + first, count, 0});
        }

    Plan& plan = layer->plan;
    plan.format = Format::f16, plan.head_size = in.head_size, plan.kv_heads = in.kv_heads;
    plan.group = in.group, plan.tiles = tiles, plan.runs = 1;
    plan.budget = static_cast<uint32_t>(in.budget), plan.estimate = true;
    plan.scale = 1 / std::sqrt(static_cast<float>(in.head_size));
    // Clusters are not multiples of a page: each fills one at worst for every token.
    plan.max_pages = static_cast<int>((in.steady + in.budget + largest) / kPageTokens + 1) +
                     std::min<int>(in.clusters, in.budget);
    plan.score_blocks = std::max(1, 4 * in.processors / in.kv_heads);
    plan.exact_blocks = std::max(1, in.processors / in.kv_heads);
    plan.estimate_blocks = std::max(1, 2 * in.processors / in.kv_heads);

    Step& step = layer->step;
    step.tiles = layer->copy(list), step.runs = layer->copy(runs);
    step.lse = layer->reserve<float>(size_t(in.kv_heads) * in.group);
    step.reports = layer->reserve<HeadReport>(in.kv_heads);
    step.bits = layer->reserve<uint32_t>(size_t(in.kv_heads) * tiles);
    step.pages = layer->reserve<Run>(size_t(in.kv_heads) * plan.max_pages);
    const size_t bytes = repowave_cuda_workspace(&plan);
    layer->workspace = bytes ? layer->reserve<char>(bytes) : nullptr;
    const bool room = map && step.tiles && step.runs && step.lse && step.reports && step.bits && step.pages;
    if (!room || !layer->workspace || repowave_cuda_wait(nullptr)) return nullptr;
    return layer.release();
}

/// q and out: float [kv_heads][group][D]. @returns 0, or CUDA's error
int compare_step(void* opened, const float* q, float* out, void* stream) {
    auto& layer = *static_cast<Layer*>(opened);
    layer.step.q = q, layer.step.out = out;
    return repowave_cuda_decode(&layer.plan, &layer.step, layer.workspace, stream);
}

/// After a step: the tokens that were attended to exactly, over all KV heads, and whether the list was too short.
int compare_report(void* opened, unsigned long long* clusters) {
    const auto& layer = *static_cast<const Layer*>(opened);
    std::vector<HeadReport> reports(layer.plan.kv_heads);
    repowave_cuda_copy(reports.data(), layer.step.reports, reports.size() * sizeof(HeadReport), nullptr);
    if (const int error = repowave_cuda_wait(nullptr)) return error;
    *clusters = 0;
    for (const HeadReport& report : reports) {
        if (report.overflow || report.late) return -1;
        *clusters += report.chosen;
    }
    return 0;
}

void compare_close(void* opened) {
    delete static_cast<Layer*>(opened);
}

const char* compare_error(int error) {
    return error < 0 ? "the list of pages was too short" : repowave_cuda_error(error);
}
}
