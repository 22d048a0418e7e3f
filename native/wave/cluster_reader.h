// The K/V of a segment file as the block cache reads it: cluster by cluster, with pread and not through a
// mapping, so that what is resident is what the cache holds. That is its reason, and not speed: of a file in
// the page cache, a preadv took 3.4 us for 4 KiB and 17 us for 64 KiB (37 us into 32 scattered pages), the
// first touch of a mapping 3.1 and 8.6 us (medians, on a busy machine).
//
// A slot is one token of one layer and KV head, K [dk] and V [dv] side by side. A cluster is its slots in a
// row.
#pragma once

#include "packing.h"
#include "stored_file.h"

#include <vector>

namespace wave {

/// Where the clusters of one layer and KV head lie. Points into the segment's index, which outlives it.
struct StoredHead {
    const uint32_t* starts;    ///< [clusters + 1] the first slot of each cluster; none is empty
    const uint32_t* checksums; ///< [clusters] CRC-32C of the cluster as it is stored
    uint32_t clusters;         ///< 0: this layer has no index
    uint64_t offset;           ///< of slot 0 from the file's beginning, in bytes
};

class ClusterFile {
  public:
    /// @param packed whether clusters are packs (packing.h)
    /// @param heads [layers * kv_heads]
    ClusterFile(std::shared_ptr<const StoredFile> file, const KvShape& shape, bool packed,
                std::vector<StoredHead> heads)
        : file_(std::move(file)), shape_(shape), packed_(packed), heads_(std::move(heads)) {}

    const KvShape& shape() const { return shape_; }
    bool packed() const { return packed_; }
    size_t heads() const { return heads_.size(); }
    const StoredHead& head(uint32_t head) const { return heads_[head]; }
    uint32_t tokens(uint32_t head, uint32_t cluster) const {
        return heads_[head].starts[cluster + 1] - heads_[head].starts[cluster];
    }
    /// Of a cluster in the file.
    size_t bytes(uint32_t head, uint32_t cluster) const {
        const size_t count = tokens(head, cluster);
        return packed_ ? pack_bytes(shape_, count) : count * shape_.slot_bytes();
    }
    /// Where a cluster begins in the file.
    uint64_t offset(uint32_t head, uint32_t cluster) const {
        const uint64_t slots = heads_[head].starts[cluster];
        return heads_[head].offset + (packed_ ? cluster * pack_front(shape_) + slots * shape_.slot_elements()
                                              : slots * shape_.slot_bytes());
    }

    /// As StoredFile::read. @returns false when the file cannot be read or ends too soon
    bool read(uint64_t offset, iovec* parts, size_t count) const noexcept {
        return file_->read(offset, parts, count) == 0;
    }
    /// All slots of a head, checked. Throws std::bad_alloc. @returns false when they cannot be had
    bool read_all(uint32_t head, uint8_t* to) const;

  private:
    std::shared_ptr<const StoredFile> file_;
    KvShape shape_;
    bool packed_;
    std::vector<StoredHead> heads_;
};

} // namespace wave
