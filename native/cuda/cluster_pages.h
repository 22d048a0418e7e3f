// The tier on the device: K/V of clusters, whole and each in one piece, as far as the cap leaves room.
// Kernels find them by the mapping table on the device (cuda::Place), the host by its own entries; both are
// told.
//
// A cluster takes 1, 2, 4 ... pages (buddy system), so that what one leaves another can take. The least
// recently used goes first, as in the tier below (native/wave/block_cache.h).
#pragma once

#include "../wave/lru.h"
#include "cuda_memory.h"

#include <algorithm>
#include <set>
#include <unordered_map>

namespace repowave {

/// What places are to tell, by place.
using Placings = std::unordered_map<cuda::Place*, cuda::Placing>;
inline void put(Placings& to, const cuda::Placing& placing) {
    to[placing.place] = placing;
}

inline size_t pages_for(size_t tokens) {
    return (tokens + cuda::kPageTokens - 1) / cuda::kPageTokens;
}

class ClusterPages {
  public:
    /// In the place of a block.
    static constexpr uint32_t kAbsent = UINT32_MAX;
    /// Those who are told where a cluster lies: the block in host memory, the place in the device's.
    struct Owner {
        uint32_t* entry;
        cuda::Place* place;
    };

    ClusterPages(CudaMemory& memory, size_t slot_bytes) : memory_(memory), slot_bytes_(slot_bytes) {}

    /// What is used from now on stays until the next step.
    void begin_step() { step_++; }
    /// @returns whether it was brought ahead, and not used until now
    bool use(uint32_t block);
    /// Finds room, and tells the owner's entry. What has to go for it gets an entry of kAbsent and a placing
    /// that empties its place. @returns whether there is room
    bool admit(uint32_t tokens, const Owner& owner, Placings& placings) {
        return admit(tokens, owner, placings, step_, false);
    }
    /// The same for one that nobody has asked for: what the last `steps` steps used stays.
    bool admit_ahead(uint32_t tokens, const Owner& owner, Placings& placings, uint64_t steps) {
        return admit(tokens, owner, placings, step_ - std::min(step_, steps), true);
    }
    void* address(uint32_t block) const;
    /// Gives memory back. @returns false when there is none, or this step uses it
    bool shrink(Placings& placings);
    /// Without a word to its owner, who goes.
    void release(uint32_t block);
    uint64_t evicted() const { return evicted_; }

  private:
    static constexpr int kOrders = 10; ///< blocks of 1 ... 512 pages: any cluster of a segment
    static constexpr uint32_t kChunkPages = 1u << (kOrders - 1);
    struct Block {
        uint64_t step = 0;
        Owner owner{};
        int order = -1; ///< -1: no block begins here
        bool ahead = false;
    };

    size_t chunk_bytes() const { return kChunkPages * cuda::kPageTokens * slot_bytes_; }
    bool admit(uint32_t tokens, const Owner& owner, Placings& placings, uint64_t kept, bool ahead);
    uint32_t take(int order);
    void put_back(uint32_t block, int order);
    bool grow();
    void evict(uint32_t block, Placings& placings);

    CudaMemory& memory_;
    size_t slot_bytes_;
    uint64_t step_ = 0, evicted_ = 0;
    std::vector<Buffer> chunks_;
    std::vector<Block> blocks_; ///< [chunks][kChunkPages]
    std::set<uint32_t> free_[kOrders];
    wave::Lru lru_;
};

} // namespace repowave
