// A segment on disk: its K/V and a JSON text that describes it. One file, complete or absent.
//
// Layout, little endian: Header in the first 4,096 bytes; meta; zeros up to a multiple of 4,096; then for
// each layer and KV head K [tokens][dk] and V [tokens][dv], each beginning at a multiple of 64 bytes.
#pragma once

#include "kv.h"

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

/// Writes the tail under a temporary name, makes it durable and renames it into place.
/// Throws NoSpace, or std::system_error for other failures; nothing is left behind then.
void write_segment(const std::string& path, const KvTail& tail, const std::string& meta);

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
    KvRun run(uint32_t layer, uint32_t head, float bias) const;

  private:
    KvShape shape_;
    size_t tokens_ = 0, size_ = 0;
    const uint8_t *base_ = nullptr, *data_ = nullptr;
    std::string meta_;
};

} // namespace wave
