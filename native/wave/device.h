// What attends in place of the processor where there is a device, one layer at a time, and finds clusters.
#pragma once

#include "attention.h"

namespace wave {

/// What a device has done since it was opened; counted in clusters but for calls, passes and
/// clustered.
struct DeviceCounters {
    uint64_t calls = 0;     ///< of one token, done
    uint64_t passes = 0;    ///< calls of several tokens, done
    uint64_t clustered = 0; ///< layers that clusters were found for
    uint64_t refused = 0;   ///< left to the processor: no room, or what devices do not do
    uint64_t hits = 0;      ///< chosen and on the device already
    uint64_t misses = 0;    ///< chosen and brought from the buffer below
    uint64_t staged = 0;    ///< of those, copied first, since the device cannot read them in their place
    uint64_t evicted = 0;
    uint64_t prefetched = 0; ///< brought before they were chosen
    uint64_t foreseen = 0;   ///< of those, chosen later while they were there
    uint64_t copied = 0;     ///< bytes of exact runs, summaries and tables of them
};

/// Not thread-safe.
class DeviceAttention {
  public:
    virtual ~DeviceAttention() = default;

    /// The stored runs may be other ones from now on, before the old ones go.
    virtual void change_views() = 0;
    /// Of the tail only the first tokens are what they were.
    virtual void keep_tail(size_t tokens) = 0;
    /// Computes what Attention would of the same call. @returns false when it cannot; nothing is written then
    virtual bool attend(const AttentionCall& call) = 0;
    /// After a token: nothing of the buffer below is read any more until the next attend.
    virtual void settle() = 0;
    /// Which centroid each token goes to, as cluster() finds them for each KV head of a layer. @param runs
    /// [kv_heads] of the tail @returns [kv_heads][tokens]; nothing when it cannot
    virtual std::vector<uint32_t> nearest(uint32_t layer, const KvRun* runs) = 0;

    // Where the weights are on the device too, new K and V come from there. float [tokens][kv_heads][d],
    // tokens `stride` bytes apart:
    /// Puts them behind the first tokens of a layer's tail, all of which `before` [kv_heads] has, or append
    /// has got. @returns false when it cannot
    virtual bool append(uint32_t layer, const KvRun* before, size_t tokens, const void* k, const void* v,
                        size_t stride) = 0;
    /// What was appended to a layer's tail, from `first` to `end`, into its reserved place. Throws
    /// std::runtime_error
    virtual void read_tail(uint32_t layer, size_t first, size_t end, KvTail& to) = 0;

    virtual const DeviceCounters& counters() const = 0;
    /// Of its memory, taken.
    virtual size_t bytes() const = 0;
    /// Why nothing is asked of it any more; empty while all is well.
    virtual const std::string& failure() const = 0;
};

} // namespace wave
