#include "background.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <unordered_map>
#include <utility>

namespace wave {

void Background::show(const KvShape& shape, const Segments& segments, const std::vector<float>& biases,
                      WaveBuffer& buffer) {
    runs_.clear();
    if (!has_all(segments, biases)) {
        copy(shape, segments, buffer);
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

/// What the copy had is taken from there, the rest from the segments' files.
void Background::copy(const KvShape& shape, const Segments& segments, WaveBuffer& buffer) {
    const Segments old = std::exchange(segments_, {}); // there is no copy until all of it is
    const std::vector<Head> from = std::exchange(heads_, {});
    std::unordered_map<const Segment*, size_t> places;
    for (size_t i = 0; i < old.size(); i++) places[old[i].get()] = i;
    shape_ = shape;
    const size_t unit = shape.slot_bytes() + sizeof(float);
    size_t summaries = 0;
    std::vector<Head> heads(shape.heads());
    for (size_t number = 0; number < heads.size(); number++) {
        std::vector<size_t>& first = heads[number].first;
        first.push_back(0);
        for (const auto& segment : segments) first.push_back(first.back() + segment->entry(number).coarse);
        summaries += first.back();
    }
    room_.reset();
    room_ = buffer.reserve(Tier::background, summaries * unit);
    for (Head& head : heads) {
        head.keys = aligned_bytes(head.first.back() * shape.key_bytes());
        head.values = aligned_bytes(head.first.back() * shape.value_bytes());
        head.log_sizes.resize(head.first.back());
    }
    for (size_t i = 0; i < segments.size(); i++) {
        const auto place = places.find(segments[i].get());
        AlignedBytes section;
        if (place == places.end()) {
            section = segments[i]->read_coarse();
            buffer.count_read(segments[i]->layout().order - segments[i]->layout().coarse);
        }
        for (size_t number = 0; number < heads.size(); number++) {
            Head& head = heads[number];
            const Summaries coarse =
                section ? segments[i]->layout().coarse_of(section.get(), segments[i]->entry(number), number)
                        : from[number].slice(shape, from[number].first[place->second],
                                             from[number].first[place->second + 1]);
            std::memcpy(head.keys.get() + head.first[i] * shape.key_bytes(), coarse.keys,
                        coarse.count * shape.key_bytes());
            std::memcpy(head.values.get() + head.first[i] * shape.value_bytes(), coarse.values,
                        coarse.count * shape.value_bytes());
            std::copy_n(coarse.log_sizes, coarse.count, head.log_sizes.data() + head.first[i]);
        }
    }
    heads_ = std::move(heads);
    id_ = new_identity();
    segments_ = segments;
}

Summaries Background::Head::slice(const KvShape& shape, size_t begin, size_t end) const {
    return {keys.get() + begin * shape.key_bytes(), values.get() + begin * shape.value_bytes(),
            log_sizes.data() + begin, static_cast<uint32_t>(end - begin)};
}

CoarseRun Background::run(const Head& head, size_t begin, size_t end) const {
    return {head.slice(shape_, head.first[begin], head.first[end]), biases_[begin],
            head.slice(shape_, 0, head.first.back()), id_};
}

const std::vector<CoarseRun>& Background::layer(uint32_t layer) const {
    static const std::vector<CoarseRun> nothing;
    return runs_.empty() ? nothing : runs_[layer];
}

} // namespace wave
