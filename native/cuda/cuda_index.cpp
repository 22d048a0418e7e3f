// The clusters of a segment that is about to be stored: its keys are the session's tail.
#include "cuda_attention.h"

#include <algorithm>

namespace repowave {

std::vector<uint32_t> CudaAttention::nearest(uint32_t number, const wave::KvRun* runs) {
    std::vector<uint32_t> result(shape_.kv_heads * runs[0].tokens);
    if (result.empty() || !attempt([&] { run_clustering(layers_[number], runs, result); })) return {};
    counters_.clustered++;
    return result;
}

void CudaAttention::run_clustering(Layer& layer, const wave::KvRun* runs, std::vector<uint32_t>& result) {
    pages_.begin_step();
    layer.tail_tokens = std::min(layer.tail_tokens, runs[0].tokens); // some may have been taken back
    copy_tail(layer, runs);

    std::vector<const void*> slots;
    for (uint32_t head = 0; head < shape_.kv_heads; head++)
        slots.push_back(layer.tail.as<uint8_t>(head * layer.tail_room * shape_.slot_bytes()));
    const size_t listed = slots.size() * sizeof(void*), told = result.size() * sizeof(uint32_t);
    reserve(given_, listed, CudaMemory::kDevice);
    reserve(told_, told, CudaMemory::kDevice);
    copy(given_.as<void>(), slots.data(), listed);
    cuda::Clustering clustering{};
    clustering.format = plan_.format, clustering.head_size = plan_.head_size;
    clustering.kv_heads = plan_.kv_heads, clustering.tokens = static_cast<int>(runs[0].tokens);
    clustering.slots = given_.as<const void*>(), clustering.nearest = told_.as<uint32_t>();
    const CudaLibrary& library = memory_.library();
    reserve(workspace_, library.cluster_workspace(&clustering), CudaMemory::kDevice);
    library.check(library.cluster(&clustering, workspace_.as<void>(), nullptr));
    copy(result.data(), told_.as<void>(), told);
    wait();
    const uint32_t limit = wave::cluster_limit(runs[0].tokens);
    if (std::any_of(result.begin(), result.end(), [&](uint32_t c) { return c >= limit; }))
        throw CudaProblem("the device tells of clusters that there are not");
}

} // namespace repowave
