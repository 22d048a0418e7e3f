// A segment on disk: its K/V, its wave index and a JSON text that describes it. One file, complete or absent.
//
// Layout, little endian, every part beginning at a multiple of 64 bytes: Header in the first 4,096 bytes;
// meta; zeros up to a multiple of 4,096; the number of clusters and coarse clusters of each layer and KV
// head; the index of each, in room for the most clusters that there can be; then for each K [tokens][dk] and
// V [tokens][dv], cluster by cluster. A layer without an index (sliding windows) has no clusters and its
// tokens in their order.
#pragma once

#include "clusters.h"

#include <string>

namespace wave {

/// A file that is torn, foreign, of another version or another shape.
struct SegmentCorrupt : std::runtime_error {
    using runtime_error::runtime_error;
};

/// The file system is full, or a quota is.
struct NoSpace : std::runtime_error {
    using runtime_error::runtime_error;
};

struct SegmentSettings {
    int threads = 1;                 ///< that build the index
    std::vector<bool> without_index; ///< per layer; empty: all have one
};
/// How long the parts of writing took.
struct SegmentSeconds {
    double index = 0, disk = 0;
};

/// Builds the index, writes the tail under a temporary name, makes it durable and renames it into place. At
/// most 65,536 tokens. Throws NoSpace, or std::system_error for other failures; nothing is left behind then.
SegmentSeconds write_segment(const std::string& path, const KvTail& tail, const std::string& meta,
                             const SegmentSettings& settings);

/// A segment file mapped into memory, read only. Pages come in as they are touched and go when memory is
/// short.
class Segment {
  public:
    /// Throws SegmentCorrupt or std::system_error.
    explicit Segment(const std::string& path);
    ~Segment();
    Segment(const Segment&) = delete;
    Segment& operator=(const Segment&) = delete;

    size_t tokens() const { return tokens_; }
    const KvShape& shape() const { return shape_; }
    const std::string& meta() const { return meta_; }
    /// Bytes of the wave index.
    size_t index_bytes() const;
    bool has_index(uint32_t layer) const { return clusters(layer, 0).fine.count > 0; }
    /// In the order of the clusters.
    KvRun run(uint32_t layer, uint32_t head) const;
    Clusters clusters(uint32_t layer, uint32_t head) const;

  private:
    void check_index() const;

    std::string path_;
    KvShape shape_;
    size_t tokens_ = 0, size_ = 0;
    const uint8_t *base_ = nullptr, *counts_ = nullptr, *index_ = nullptr, *data_ = nullptr;
    std::string meta_;
};

} // namespace wave
