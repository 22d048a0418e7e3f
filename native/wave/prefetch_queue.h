// What is to be read ahead: bounded, first in, first out; the oldest request goes when it is full.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace wave {

struct PrefetchRequest {
    uint32_t segment, head, cluster;
    uint64_t turn; ///< set by push
};

/// Not safe for several threads.
class PrefetchQueue {
  public:
    static constexpr size_t kRoom = 8192;

    /// Throws std::bad_alloc.
    void set_heads(size_t heads) {
        if (overtaken_.size() < heads) overtaken_.resize(heads);
    }
    bool empty() const { return count_ == 0; }

    /// @returns how many requests went for it: 0 or 1
    size_t push(PrefetchRequest request) {
        const size_t crowded_out = count_ == kRoom;
        if (crowded_out) pop();
        request.turn = ++turn_;
        ring_[(first_ + count_++) % kRoom] = request;
        return crowded_out;
    }
    PrefetchRequest pop() {
        const PrefetchRequest request = ring_[first_];
        first_ = (first_ + 1) % kRoom;
        count_--;
        return request;
    }
    const PrefetchRequest& front() const { return ring_[first_]; }

    /// What has been asked for a head until now comes too late.
    void overtake(uint32_t head) { overtaken_[head] = turn_; }
    bool overtaken(const PrefetchRequest& request) const { return request.turn <= overtaken_[request.head]; }

    /// Forgets the requests for a segment.
    void remove(uint32_t segment) {
        for (size_t left = count_; left > 0; left--) {
            const PrefetchRequest request = pop();
            if (request.segment != segment) ring_[(first_ + count_++) % kRoom] = request;
        }
    }

  private:
    std::vector<PrefetchRequest> ring_ = std::vector<PrefetchRequest>(kRoom);
    size_t first_ = 0, count_ = 0;
    uint64_t turn_ = 0;
    std::vector<uint64_t> overtaken_; ///< [heads] the last turn that is
};

} // namespace wave
