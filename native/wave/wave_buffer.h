// All that a process keeps in memory of stored segments, inside one cap (RetroInfer's wave buffer, section
// 4.3): segments that are seen whole, the indexes of those that are seen tripartite, summaries of those in
// the background, and a block cache in what is left. Shared by all sessions.
//
// What no session looks at any more stays while there is room; the least recently used goes first. What a
// session looks at never goes: what does not fit beside it is refused, and not seen less closely than asked.
#pragma once

#include "resident.h"

#include <atomic>
#include <list>
#include <map>

namespace wave {

/// The cap is too small for what is asked for.
struct NoRoom : std::runtime_error {
    using runtime_error::runtime_error;
};

enum class Tier { exact, index, background };
constexpr size_t kTiers = 3;

struct MemoryReport {
    size_t capacity;
    size_t held[kTiers];
    size_t cache_capacity, cache_used;
    CacheCounters counters;
    uint64_t bytes_read; ///< from files, by the cache or past it
};

/// Thread-safe.
class WaveBuffer {
  public:
    /// @param capacity bytes of everything that is kept
    explicit WaveBuffer(size_t capacity);
    /// Takes from what nobody looks at; a session keeps what it looks at.
    void set_capacity(size_t bytes);
    MemoryReport report();

    /// Of a segment, read unless they are here. Without `load` null in place of reading. Throw NoRoom,
    /// SegmentCorrupt, std::system_error, std::bad_alloc.
    std::shared_ptr<const ExactSlots> exact(const std::shared_ptr<const Segment>& segment, bool load);
    std::shared_ptr<const WaveIndex> index(const std::shared_ptr<const Segment>& segment, bool load);
    /// Counts memory that somebody else keeps, until the result goes; before this buffer does. Throws NoRoom.
    std::shared_ptr<void> reserve(Tier tier, size_t bytes);
    /// Counts bytes read past the cache.
    void count_read(size_t bytes) { bytes_read_ += bytes; }

  private:
    /// What is kept of a segment while it is open.
    struct Entry {
        std::weak_ptr<const Segment> segment;
        Tier tier;
        std::shared_ptr<const void> part;
        const WaveIndex* index; ///< the part, when it is one
        size_t bytes;
        bool in_use() const { return part.use_count() > 1; }
    };
    using Entries = std::list<Entry>;

    template <class Part, class Make>
    std::shared_ptr<const Part> get(const std::shared_ptr<const Segment>& segment, Tier tier, size_t bytes,
                                    bool load, Make make);
    // With the lock:
    std::shared_ptr<const void> find(const std::shared_ptr<const Segment>& segment, Tier tier);
    void take(Tier tier, size_t bytes);
    void make_room(size_t bytes);
    void require_room(size_t bytes);
    void drop_closed();
    Entries::iterator drop(Entries::iterator entry);
    BlockCache& cache(size_t slot_bytes);
    size_t held() const;
    size_t cache_needs(const BlockCache& cache, bool in_use) const;
    void share_out();

    std::mutex mutex_;
    size_t capacity_;
    size_t held_[kTiers] = {};
    std::map<size_t, std::unique_ptr<BlockCache>>
        caches_;      ///< by the size of a slot: one for each kind of model
    Entries entries_; ///< the most recently used first
    std::atomic<uint64_t> bytes_read_{0};
};

} // namespace wave
