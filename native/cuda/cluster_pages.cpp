#include "cluster_pages.h"

#include <bit>
#include <utility>

namespace repowave {

bool ClusterPages::use(uint32_t block) {
    blocks_[block].step = step_;
    lru_.touch(block);
    return std::exchange(blocks_[block].ahead, false);
}

void* ClusterPages::address(uint32_t block) const {
    return chunks_[block / kChunkPages].as<void>(block % kChunkPages * cuda::kPageTokens * slot_bytes_);
}

/// What was used since the step `kept` stays.
bool ClusterPages::admit(uint32_t tokens, const Owner& owner, Placings& placings, uint64_t kept, bool ahead) {
    const int order = static_cast<int>(std::bit_width(pages_for(tokens) - 1));
    if (order >= kOrders) return false;
    uint32_t block;
    while ((block = take(order)) == kAbsent) {
        if (grow()) continue;
        const uint32_t oldest = lru_.oldest();
        if (oldest == wave::Lru::kNone || blocks_[oldest].step >= kept) return false;
        evict(oldest, placings);
    }
    blocks_[block] = {step_, owner, order, ahead};
    lru_.push(block);
    *owner.entry = block;
    return true;
}

bool ClusterPages::shrink(Placings& placings) {
    if (chunks_.empty()) return false;
    const uint32_t first = static_cast<uint32_t>(chunks_.size() - 1) * kChunkPages;
    for (uint32_t page = first; page < first + kChunkPages; page++)
        if (blocks_[page].order >= 0 && blocks_[page].step == step_) return false;
    for (uint32_t page = first; page < first + kChunkPages; page++)
        if (blocks_[page].order >= 0) evict(page, placings);
    free_[kOrders - 1].erase(first);
    blocks_.resize(first);
    chunks_.pop_back();
    return true;
}

void ClusterPages::release(uint32_t block) {
    lru_.remove(block);
    put_back(block, std::exchange(blocks_[block], {}).order);
}

/// The first of the smallest free blocks that will do, cut down to size.
uint32_t ClusterPages::take(int order) {
    int from = order;
    while (from < kOrders && free_[from].empty()) from++;
    if (from == kOrders) return kAbsent;
    const uint32_t block = *free_[from].begin();
    free_[from].erase(block);
    while (from-- > order) free_[from].insert(block + (1u << from));
    return block;
}

void ClusterPages::put_back(uint32_t block, int order) {
    while (order < kOrders - 1 && free_[order].erase(block ^ 1u << order)) block &= ~(1u << order++);
    free_[order].insert(block);
}

bool ClusterPages::grow() {
    void* const chunk = memory_.take(chunk_bytes(), CudaMemory::kDevice);
    if (!chunk) return false;
    chunks_.emplace_back(memory_, chunk, chunk_bytes(), CudaMemory::kDevice);
    free_[kOrders - 1].insert(static_cast<uint32_t>(blocks_.size()));
    blocks_.resize(blocks_.size() + kChunkPages);
    lru_.resize(blocks_.size());
    return true;
}

void ClusterPages::evict(uint32_t block, Placings& placings) {
    const Owner owner = blocks_[block].owner;
    put(placings, {owner.place, nullptr, 0});
    *owner.entry = kAbsent;
    release(block);
    evicted_++;
}

} // namespace repowave
