// Where the parts of a segment file lie; segment_file.h describes them.
#pragma once

#include "checksum.h"
#include "clusters.h"
#include "packing.h"

#include <cstddef>
#include <utility>

namespace wave {

constexpr uint64_t kSegmentMagic = 0x0053474556415752; // "RWAVEGS\0"
constexpr uint32_t kSegmentVersion = 3;
constexpr size_t kHeaderBytes = 4096;
/// Slots are numbered by 16 bits.
constexpr size_t kMostTokens = 1 << 16;

/// Checksums are CRC-32C, of whole parts with their padding.
struct SegmentHeader {
    uint64_t magic;
    uint32_t version, dtype, layers, kv_heads, dk, dv;
    uint64_t tokens, meta_bytes, file_bytes;
    uint32_t meta, table, coarse, order, fine; ///< checksums of the parts of these names
    uint32_t packed;                           ///< whether slots are packs (packing.h), 0 or 1
};
/// The first 4,096 bytes: the header, zeros, and the checksum of all before it.
struct HeaderPage {
    SegmentHeader header;
    uint8_t zeros[kHeaderBytes - sizeof(SegmentHeader) - sizeof(uint32_t)];
    uint32_t checksum;

    uint32_t expected() const { return crc32c(this, offsetof(HeaderPage, checksum)); }
};
static_assert(sizeof(HeaderPage) == kHeaderBytes);

/// One layer and KV head.
struct TableEntry {
    uint32_t fine, coarse; ///< clusters; none in a layer without an index
    uint32_t checksum;     ///< of all its slots, or packs
};

inline size_t round_up(size_t n, size_t unit) {
    return (n + unit - 1) / unit * unit;
}

/// All offsets from the file's beginning, strides in bytes.
struct Layout {
    size_t table, coarse, order, fine, data, end;
    size_t coarse_stride, order_stride, fine_stride, data_stride; ///< per layer and KV head
    // within one layer and head of the part; keys and starts come first
    size_t coarse_values, coarse_sizes, checksums, tokens, fine_values, fine_sizes;

    Layout(const KvShape& shape, size_t n, size_t meta_bytes, bool packed) {
        const size_t fines = cluster_limit(n), coarses = cluster_limit(fines);
        size_t at = 0;
        const auto part = [&](size_t bytes) { return std::exchange(at, at + round_up(bytes, 64)); };
        part(coarses * shape.key_bytes());
        coarse_values = part(coarses * shape.value_bytes());
        coarse_sizes = part(coarses * sizeof(float));
        coarse_stride = std::exchange(at, 0);
        part((fines + 1) * sizeof(uint32_t));
        checksums = part(fines * sizeof(uint32_t));
        tokens = part(n * sizeof(uint16_t));
        order_stride = std::exchange(at, 0);
        part(fines * shape.key_bytes());
        fine_values = part(fines * shape.value_bytes());
        fine_sizes = part(fines * sizeof(float));
        fine_stride = at;
        // One pack more than clusters: where there are none, the last pack is not full.
        data_stride = round_up(packed ? (fines + 1) * pack_front(shape) + n * shape.slot_elements()
                                      : n * shape.slot_bytes(),
                               64);
        table = kHeaderBytes + round_up(meta_bytes, 4096);
        coarse = table + round_up(shape.heads() * sizeof(TableEntry), 64);
        order = coarse + shape.heads() * coarse_stride;
        fine = order + shape.heads() * order_stride;
        data = fine + shape.heads() * fine_stride;
        end = data + shape.heads() * data_stride;
    }

    Summaries coarse_of(const uint8_t* section, const TableEntry& entry, size_t head) const {
        const uint8_t* at = section + head * coarse_stride;
        return {at, at + coarse_values, reinterpret_cast<const float*>(at + coarse_sizes), entry.coarse};
    }
    Summaries fine_of(const uint8_t* section, const TableEntry& entry, size_t head) const {
        const uint8_t* at = section + head * fine_stride;
        return {at, at + fine_values, reinterpret_cast<const float*>(at + fine_sizes), entry.fine};
    }
    const uint32_t* starts_of(const uint8_t* section, size_t head) const {
        return reinterpret_cast<const uint32_t*>(section + head * order_stride);
    }
    const uint32_t* checksums_of(const uint8_t* section, size_t head) const {
        return reinterpret_cast<const uint32_t*>(section + head * order_stride + checksums);
    }
    const uint16_t* tokens_of(const uint8_t* section, size_t head) const {
        return reinterpret_cast<const uint16_t*>(section + head * order_stride + tokens);
    }
};

} // namespace wave
