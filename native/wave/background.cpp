#include "background.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace wave {

void Background::set_segments(const KvShape& shape,
                              const std::vector<std::shared_ptr<const Segment>>& segments) {
    if (segments == segments_) return;
    shape_ = shape, segments_ = segments;
    heads_.clear();
    summaries_.clear();
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
            head.biased = head.log_sizes;
            summaries_.push_back(
                {head.keys.get(), head.values.get(), head.biased.data(), static_cast<uint32_t>(count)});
            heads_.push_back(std::move(head));
        }
}

void Background::set_biases(const std::vector<float>& biases) {
    visible_ = std::any_of(biases.begin(), biases.end(), [](float bias) { return !std::isinf(bias); });
    for (Head& head : heads_)
        for (size_t i = 0; i < segments_.size(); i++)
            for (size_t c = head.first[i]; c < head.first[i + 1]; c++)
                head.biased[c] = head.log_sizes[c] + biases[i];
}

const Summaries* Background::layer(uint32_t layer) const {
    return visible_ ? summaries_.data() + static_cast<size_t>(layer) * shape_.kv_heads : nullptr;
}

} // namespace wave
