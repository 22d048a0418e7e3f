// A segment on disk: its K/V, its wave index and a JSON text that describes it. One file, complete or absent.
//
// Layout (segment_layout.h), little endian, every part beginning at a multiple of 64 bytes: the header's
// page; meta, up to a multiple of 4,096; the table, which tells of each layer and KV head how many clusters
// there are; the coarse level of all heads; the order of all heads, that is where clusters begin, their
// checksums and which token lies in each slot; the fine level of all heads; then for each head its slots,
// cluster by cluster. A layer without an index (sliding windows) has no clusters and its slots in the order
// of the tokens. Parts have room for the most clusters that there can be. Where the header says so, slots
// are packs of eight-bit elements (packing.h): a cluster each, or sixteen tokens where there is no index.
//
// Each part has a checksum and is read, whole, when it is needed first; of the slots, clusters have their own
// and are read one by one. So opening costs some kilobytes, and nothing is used that was not checked.
#pragma once

#include "clusters.h"
#include "segment_layout.h"
#include "stored_file.h"

#include <string>

namespace wave {

/// A file that is torn, foreign, of another version or another shape, or damaged.
struct SegmentCorrupt : std::runtime_error {
    using runtime_error::runtime_error;
};

/// The file system is full, or a quota is.
struct NoSpace : std::runtime_error {
    using runtime_error::runtime_error;
};

class DeviceAttention;

struct SegmentSettings {
    int threads = 1;                   ///< that build the index
    std::vector<bool> without_index;   ///< per layer; empty: all have one
    bool packed = false;               ///< whether slots are stored in eight bits per element (packing.h)
    DeviceAttention* device = nullptr; ///< what finds its clusters, as far as it can
};
/// How long the parts of writing took.
struct SegmentSeconds {
    double index = 0, disk = 0;
};

/// Builds the index, writes the tail under a temporary name, makes it durable and renames it into place. At
/// most 65,536 tokens. Throws NoSpace, or std::system_error for other failures; nothing is left behind then.
SegmentSeconds write_segment(const std::string& path, const KvTail& tail, const std::string& meta,
                             const SegmentSettings& settings);

/// An open segment file. Threads may use one at the same time. What reads throws SegmentCorrupt or
/// std::system_error.
class Segment {
  public:
    /// Reads the header, meta and the table.
    explicit Segment(const std::string& path);

    size_t tokens() const { return tokens_; }
    const KvShape& shape() const { return shape_; }
    const std::string& meta() const { return meta_; }
    const Layout& layout() const { return layout_; }
    /// Bytes of the wave index, and of all slots, in the file.
    size_t index_bytes() const { return layout_.data - layout_.table; }
    size_t kv_bytes() const {
        return packed() ? shape_.heads() * layout_.data_stride : tokens_ * shape_.bytes_per_token();
    }
    bool packed() const { return header_.packed != 0; }
    /// Of a layer and head, in memory.
    size_t slots_bytes() const { return round_up(tokens_ * shape_.slot_bytes(), 64); }
    bool has_index(uint32_t layer) const { return entry(layer * shape_.kv_heads).fine > 0; }
    /// head: layer * kv_heads + KV head, here and below
    const TableEntry& entry(size_t head) const { return table_[head]; }

    /// The parts of all layers and heads, for Layout to find its way in.
    AlignedBytes read_coarse() const;
    AlignedBytes read_order() const;
    AlignedBytes read_fine() const;
    /// All slots of a layer and head, in memory's form. @param to room for slots_bytes()
    void read_slots(size_t head, uint8_t* to) const;
    /// For its clusters to be read.
    const std::shared_ptr<const StoredFile>& file() const { return file_; }
    /// Reads all of the file.
    void verify() const;

  private:
    AlignedBytes read_part(size_t begin, size_t end, uint32_t checksum, const char* what) const;
    void unpack_all(const uint8_t* packs, uint8_t* to) const;
    void read(size_t offset, void* to, size_t n) const;
    [[noreturn]] void corrupt(const std::string& what) const;

    std::shared_ptr<const StoredFile> file_;
    KvShape shape_;
    size_t tokens_ = 0;
    Layout layout_{{}, 0, 0, false};
    SegmentHeader header_{};
    std::string meta_;
    std::vector<TableEntry> table_; ///< [layers * kv_heads]
};

} // namespace wave
