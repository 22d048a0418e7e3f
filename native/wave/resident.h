// What is in memory of a stored segment that is looked at.
#pragma once

#include "block_cache.h"
#include "segment_file.h"

namespace wave {

/// The slots of a segment, in the order of its tokens: of all layers, or of those without an index.
class ExactSlots {
  public:
    enum Layers { kAll, kWithoutIndex };
    static size_t bytes(const Segment& segment, Layers layers);

    /// Reads them; throws as Segment does, and std::bad_alloc.
    ExactSlots(const Segment& segment, Layers layers);
    KvRun run(size_t head) const { return {slots_[head].get(), tokens_, 0, 0, id_}; }

  private:
    const uint64_t id_ = new_identity();
    size_t tokens_;
    std::vector<AlignedBytes> slots_; ///< [layers * kv_heads]; null where there are none
};

/// The wave index of a segment without its coarse level, and what a layer without an index has instead of it.
/// Its clusters are in a block cache's care meanwhile.
class WaveIndex {
  public:
    static size_t bytes(const Segment& segment);

    /// Reads it; throws as Segment does, and std::bad_alloc. The cache outlives it.
    WaveIndex(const Segment& segment, BlockCache& cache);
    /// No step may use it any more.
    ~WaveIndex();
    WaveIndex(const WaveIndex&) = delete;
    WaveIndex& operator=(const WaveIndex&) = delete;

    const Clusters& clusters(size_t head) const { return clusters_[head]; }
    KvRun exact(size_t head) const { return exact_.run(head); }
    const ClusterFile& file() const { return *file_; }
    uint32_t number() const { return number_; } ///< in the cache
    uint64_t id() const { return id_; }
    BlockCache& cache() const { return cache_; }
    /// Of the cache, that all its clusters would take.
    size_t pages() const { return pages_; }

  private:
    const uint64_t id_ = new_identity();
    BlockCache& cache_;
    AlignedBytes order_, fine_;
    ExactSlots exact_;
    std::vector<Clusters> clusters_; ///< [layers * kv_heads]; `coarse` is not there
    std::shared_ptr<const ClusterFile> file_;
    uint32_t number_;
    size_t pages_ = 0;
};

} // namespace wave
