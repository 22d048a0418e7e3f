#include "background.h"

#include <algorithm>
#include <cstring>
#include <limits>

namespace wave {

void Background::show(const KvShape& shape, const Segments& segments, const std::vector<float>& biases) {
    if (!has_all(segments, biases)) {
        copy(shape, segments);
        biases_ = biases;
    }
    runs_.assign(shape.layers, {});
    for (size_t i = 0; i < heads_.size(); i++)
        for (size_t begin = 0, end; begin < segments_.size(); begin = end) {
            for (end = begin + 1; end < segments_.size() && biases_[end] == biases_[begin];) end++;
            runs_[i / shape.kv_heads].push_back(run(heads_[i], begin, end));
        }
}

/// Whether the segments are in the copy, in this order, with others between them or not; their biases are set
/// then and the others hidden.
bool Background::has_all(const Segments& segments, const std::vector<float>& biases) {
    biases_.assign(segments_.size(), -std::numeric_limits<float>::infinity());
    size_t at = 0;
    for (size_t i = 0; i < segments.size(); i++, at++) {
        while (at < segments_.size() && segments_[at] != segments[i]) at++;
        if (at == segments_.size()) return false;
        biases_[at] = biases[i];
    }
    return true;
}

void Background::copy(const KvShape& shape, const Segments& segments) {
    segments_.clear(); // there is no copy until all of it is
    heads_.clear();
    shape_ = shape;
    for (uint32_t layer = 0; layer < shape.layers; layer++)
        for (uint32_t number = 0; number < shape.kv_heads; number++) {
            Head head;
            head.first.push_back(0);
            for (const auto& segment : segments)
                head.first.push_back(head.first.back() + segment->clusters(layer, number).coarse.count);
            const size_t count = head.first.back();
            head.keys = aligned_bytes(count * shape.key_bytes());
            head.values = aligned_bytes(count * shape.value_bytes());
            head.log_sizes.resize(count);
            for (size_t i = 0; i < segments.size(); i++) {
                const Summaries coarse = segments[i]->clusters(layer, number).coarse;
                std::memcpy(head.keys.get() + head.first[i] * shape.key_bytes(), coarse.keys,
                            coarse.count * shape.key_bytes());
                std::memcpy(head.values.get() + head.first[i] * shape.value_bytes(), coarse.values,
                            coarse.count * shape.value_bytes());
                std::copy_n(coarse.log_sizes, coarse.count, head.log_sizes.data() + head.first[i]);
            }
            heads_.push_back(std::move(head));
        }
    segments_ = segments;
}

CoarseRun Background::run(const Head& head, size_t begin, size_t end) const {
    const size_t first = head.first[begin];
    return {{head.keys.get() + first * shape_.key_bytes(), head.values.get() + first * shape_.value_bytes(),
             head.log_sizes.data() + first, static_cast<uint32_t>(head.first[end] - first)},
            biases_[begin]};
}

const std::vector<CoarseRun>& Background::layer(uint32_t layer) const {
    static const std::vector<CoarseRun> nothing;
    return runs_.empty() ? nothing : runs_[layer];
}

} // namespace wave
