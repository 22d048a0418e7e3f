// Where the parts of a segment file lie; segment_file.h describes them.
#pragma once

#include "clusters.h"

#include <utility>

namespace wave {

constexpr size_t kHeaderBytes = 4096;

inline size_t round_up(size_t n, size_t unit) {
    return (n + unit - 1) / unit * unit;
}

/// Bytes of one head's slots in the file.
inline size_t run_bytes(size_t tokens, size_t row) {
    return round_up(tokens * row, 64);
}

/// All offsets from the file's beginning, strides in bytes.
struct Layout {
    size_t counts, index, data, end;
    size_t index_stride, data_stride; ///< per layer and KV head
    // within the index of one layer and head
    size_t fine_values, fine_sizes, starts, coarse_keys, coarse_values, coarse_sizes, tokens;

    Layout(const KvShape& shape, size_t n, size_t meta_bytes) {
        const size_t heads = static_cast<size_t>(shape.layers) * shape.kv_heads;
        const size_t fine = cluster_limit(n), coarse = cluster_limit(fine);
        size_t at = 0;
        const auto part = [&](size_t bytes) { return std::exchange(at, at + round_up(bytes, 64)); };
        part(fine * shape.key_bytes());
        fine_values = part(fine * shape.value_bytes());
        fine_sizes = part(fine * sizeof(float));
        starts = part((fine + 1) * sizeof(uint32_t));
        coarse_keys = part(coarse * shape.key_bytes());
        coarse_values = part(coarse * shape.value_bytes());
        coarse_sizes = part(coarse * sizeof(float));
        tokens = part(n * sizeof(uint16_t));
        index_stride = at;
        data_stride = run_bytes(n, shape.slot_bytes());
        counts = kHeaderBytes + round_up(meta_bytes, 4096);
        index = counts + round_up(heads * 2 * sizeof(uint32_t), 64);
        data = index + heads * index_stride;
        end = data + heads * data_stride;
    }
};

} // namespace wave
