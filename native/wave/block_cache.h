// The wave buffer's RAM tier: K/V of the clusters that attention retrieves, inside a cap, read from segment
// files when they are not there (RetroInfer, section 4.3). Whole clusters come and go, pages of eight slots
// are what they take. Attention gathers rows of one arena by index: row r is the slot_bytes() at rows() + r *
// slot_bytes(), K [dk] and V [dv] of one token.
//
// Replacement is LRU over all layers and heads, of every cluster that is missed. Measured by replaying traces
// on the policies of test/reference/block-cache.ts, hit ratio of LRU / segmented LRU (80 % protected) /
// S3-FIFO: ten answers of the 0.5B model, each behind four segments, with room for 20 % of all that they used
// .852 / .758 / .817, 30 % .893 / .876 / .860, 50 % .923 / .920 / .919; synthetic (Zipf 1.0, half of a step's
// clusters new, slow drift) 10 % .735 / .741 / .753, 30 % .842 / .843 / .844.
#pragma once

#include "cluster_reader.h"
#include "lru.h"
#include "page_arena.h"
#include "prefetch_queue.h"

#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>

namespace wave {

/// A cluster of the layer and head that a call is about.
struct ClusterRef {
    uint32_t segment; ///< from add_segment
    uint32_t cluster;
};

/// Counted in clusters since the cache was made; they only grow.
struct CacheCounters {
    uint64_t hits = 0;       ///< asked for and there
    uint64_t misses = 0;     ///< asked for and not there (yet)
    uint64_t prefetched = 0; ///< read ahead
    uint64_t foreseen = 0;   ///< of those, asked for later while they were there
    uint64_t dropped = 0;    ///< asked to be read ahead, and overtaken or crowded out
    uint64_t bytes = 0;      ///< read from files
    // Misses that stayed missing:
    uint64_t late = 0;    ///< the caller did not wait
    uint64_t no_room = 0; ///< all pages are pinned
    uint64_t failed = 0;  ///< could not be read, or did not match their checksum
};

/// Thread-safe but for what is said at its functions. Nothing is read under the lock.
class BlockCache {
    struct Read {
        const ClusterFile* file;
        uint32_t segment, head, cluster, block;
        bool good;
    };

  public:
    /// What a step uses stays in place until the step ends: a decode step, or one layer of it where the cap
    /// is small. Steps of several sessions may overlap; each must be over before the cache is.
    class Step {
      public:
        explicit Step(BlockCache& cache) : cache_(cache), stamp_(cache.begin_step()) {}
        ~Step() { cache_.end_step(stamp_); }
        Step(const Step&) = delete;
        Step& operator=(const Step&) = delete;

      private:
        friend BlockCache;
        BlockCache& cache_;
        uint64_t stamp_;
    };

    /// What acquire found. Kept by its caller, one for each thread, so that its memory is used again.
    struct Acquired {
        std::vector<uint32_t> rows; ///< one per token of the clusters that were had, in the order of the list
        std::vector<uint32_t> missing; ///< places in the list, ascending: to be estimated
      private:
        friend BlockCache;
        std::vector<Read> reads;
        std::vector<iovec> parts;
        std::vector<uint8_t> front; ///< of the pack that is read
    };

    /// @param slot_bytes of K and V of one token, layer and head; the same for all segments
    /// @param capacity see set_capacity. Throws std::bad_alloc, std::system_error
    BlockCache(size_t slot_bytes, size_t capacity);
    /// Waits for the read that is under way.
    ~BlockCache();
    BlockCache(const BlockCache&) = delete;
    BlockCache& operator=(const BlockCache&) = delete;

    /// Bytes of the pages and their tables, at most the machine's memory. Comes into force at once, or as
    /// soon as no step and no read is under way. With less, what lies in the pages that go is forgotten.
    /// Besides it the cache takes four bytes per cluster of the segments.
    void set_capacity(size_t bytes);
    /// What is in force; less than was set where the system refused.
    size_t capacity() const;
    /// Bytes of the pages that hold clusters.
    size_t used() const;
    /// Of a page and its places in the tables.
    size_t page_cost() const { return arena_.page_bytes() + sizeof(Block) + 4 * sizeof(uint32_t); }

    /// @returns its number, which remove_segment sets free. Throws std::bad_alloc
    uint32_t add_segment(std::shared_ptr<const ClusterFile> file);
    /// Forgets its clusters, after the reads of it that are under way. No step may use it any more.
    void remove_segment(uint32_t segment);
    /// Clusters of it that could not be read or did not match their checksum; they stay missing.
    uint64_t damaged(uint32_t segment) const;

    /// Clusters of one layer and head (layer * kv_heads + head), each at most once, by segment as the caller
    /// likes and ascending in each, so that neighbours are read at once. With `wait` what is missing is read,
    /// by this thread or another one that is at it; without, it is late and will be read ahead. Never throws
    /// for what cannot be read: that is `missing`. Throws std::bad_alloc and changes nothing.
    void acquire(const Step& step, uint32_t head, const ClusterRef* list, size_t n, bool wait, Acquired& out);
    /// Asks for clusters that the next acquire of this head is likely to want; they are read in the
    /// background, unless that acquire comes first. Never in the place of what a step uses.
    void prefetch(uint32_t head, const ClusterRef* list, size_t n);

    /// As prefetch; of those that are there it gives the rows, as acquire does, and counts nothing.
    void foresee(const Step& step, uint32_t head, const ClusterRef* list, size_t n, Acquired& out);

    /// Lets a device read rows where they lie, as far as the system allows: all of them or none.
    void pin(std::shared_ptr<Pins> pins);
    /// Whether it can. Does not change while a step lasts.
    bool pinned() const;

    /// The arena; the same address for life. What the rows of a step's Acquired hold does not change while it
    /// lasts.
    const uint8_t* rows() const { return arena_.base(); }
    size_t slot_bytes() const { return slot_bytes_; }
    CacheCounters counters() const;

  private:
    // In the place of a block: pages never get so many.
    static constexpr uint32_t kAbsent = UINT32_MAX, kDamaged = UINT32_MAX - 1;
    /// Of one preadv; fewer than Linux allows (IOV_MAX, 1024).
    static constexpr size_t kMostParts = 256;

    /// What lies in a chain of pages; numbered by its first page.
    struct Block {
        uint64_t stamp; ///< the last step that used it; 0: none
        uint32_t segment, entry;
        bool reading; ///< and therefore in no list
        bool ahead;   ///< read before anybody asked for it
    };
    struct SegmentTable {
        std::shared_ptr<const ClusterFile> file;
        std::vector<uint32_t> first;   ///< [heads] where each head's clusters begin in `entries`
        std::vector<uint32_t> entries; ///< per cluster: its block, kAbsent or kDamaged
        uint64_t damaged = 0;
        uint32_t reading = 0;
    };

    class Scatter;

    uint64_t begin_step();
    void end_step(uint64_t stamp);

    uint32_t& entry(uint32_t segment, uint32_t head, uint32_t cluster) {
        SegmentTable& table = segments_[segment];
        return table.entries[table.first[head] + cluster];
    }
    bool pinned(const Block& block) const { return !steps_.empty() && block.stamp >= steps_.front(); }
    void use(uint64_t stamp, uint32_t head, const ClusterRef* list, size_t n);
    bool plan(uint64_t stamp, uint32_t head, ClusterRef wanted, std::vector<Read>& reads);
    uint32_t make_room(size_t pages);
    void evict(uint32_t block);
    void add_rows(uint64_t stamp, uint32_t head, ClusterRef one, Acquired& out);
    bool ask(uint32_t head, ClusterRef one);
    void collect(uint64_t stamp, uint32_t head, const ClusterRef* list, size_t n, bool wait, Acquired& out);

    size_t front_bytes() const { return sizeof(PackHeader) + slot_bytes_; }
    void read_all(Acquired& out) const noexcept;
    void read_run(Read* reads, size_t n, std::vector<iovec>& parts) const noexcept;
    template <class Visit> void each_page(const Read& read, Visit visit) const;
    bool intact(const Read& read) const noexcept;
    void read_pack(Read& read, uint8_t* front, std::vector<iovec>& parts) const noexcept;
    void publish(const std::vector<Read>& reads);

    void resize_if_idle() noexcept;
    void run_prefetch() noexcept;

    const size_t slot_bytes_;
    mutable std::mutex mutex_;
    std::condition_variable read_done_, work_;
    PageArena arena_;
    std::vector<Block> blocks_; ///< [pages]
    Lru lru_;
    std::vector<SegmentTable> segments_;
    std::vector<uint64_t> steps_; ///< the stamps of those under way, ascending
    uint64_t last_stamp_ = 0;
    uint32_t wanted_pages_ = 0; ///< other than arena_'s while a change of capacity waits
    uint32_t reading_ = 0;      ///< blocks
    PrefetchQueue queue_;
    Acquired ahead_; ///< the prefetcher's
    CacheCounters counters_;
    bool stopping_ = false;
    std::thread prefetcher_;
};

} // namespace wave
