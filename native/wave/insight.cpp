#include "insight.h"

#include <algorithm>
#include <utility>

namespace wave {

/// A comparison with exact attention costs about as much as one layer's exact attention over the wave views.
constexpr size_t kStepsPerSample = 16;
/// So many heads must have moved on by one token together before it counts as copying.
constexpr int kHeadsFollowing = 2;

Insight::Insight(const KvShape& shape, int query_heads)
    : shape_(shape), query_heads_(query_heads), records_(static_cast<size_t>(shape.layers) * shape.kv_heads) {
}

void Insight::start(const Views& views, std::vector<uint32_t> layers) {
    started_ = true;
    layers_ = std::move(layers);
    set_views(views);
    sums_ = {};
    sums_.zones.assign(records_.size() * kZones, 0);
    sums_.retrieved_tokens.assign(records_.size(), 0);
    sums_.retrieved_clusters.assign(records_.size(), 0);
}

void Insight::set_views(const Views& views) {
    mass_.clear();
    for (const uint32_t layer : layers_) mass_.emplace_back(shape_.kv_heads * views.slots(layer));
    places_.assign(layers_.size() * shape_.kv_heads, {});
    following_ = 0;
    evidence_steps_ = 0;
    evidence_.clear();
    for (const View& view : views.list())
        evidence_.emplace_back(view.detail == Detail::coarse ? 0 : view.segment->tokens());
}

void Insight::begin_step() {
    std::fill(records_.begin(), records_.end(), HeadRecord{});
}

float* Insight::mass(uint32_t layer) {
    const auto found = std::find(layers_.begin(), layers_.end(), layer);
    return found == layers_.end() ? nullptr : mass_[found - layers_.begin()].data();
}

bool Insight::samples(uint32_t layer) const {
    if (sums_.steps % kStepsPerSample != 0) return false;
    // Another layer each time; seven has no factor in common with usual numbers of layers.
    return layer == (sums_.steps / kStepsPerSample * 7) % shape_.layers;
}

size_t Insight::token_of(const Views& views, uint32_t layer, uint32_t head, size_t view, size_t slot) {
    const uint16_t* tokens = views.tokens(view, layer, head);
    return tokens ? tokens[slot] : slot;
}

void Insight::end_step(const Views& views) {
    add_evidence(views);
    add_records();
}

void Insight::add_evidence(const Views& views) {
    evidence_steps_++;
    int moved = 0;
    for (size_t i = 0; i < layers_.size(); i++) {
        const uint32_t layer = layers_[i];
        for (uint32_t head = 0; head < shape_.kv_heads; head++) {
            float* mass = mass_[i].data() + head * views.slots(layer);
            Place best;
            float most = 0;
            for (const Views::Span& span : views.spans(layer)) {
                std::vector<float>& evidence = evidence_[span.view];
                const bool wave = views.list()[span.view].detail == Detail::wave;
                for (size_t slot = 0; slot < span.tokens; slot++) {
                    const float m = std::exchange(mass[span.first + slot], 0.0f);
                    if (m == 0) continue;
                    const size_t token = token_of(views, layer, head, span.view, slot);
                    evidence[token] += m;
                    if (wave && m > most) most = m, best = {span.view, token};
                }
            }
            Place& before = places_[i * shape_.kv_heads + head];
            if (best.view != SIZE_MAX && best.view == before.view && best.token == before.token + 1) moved++;
            before = best;
        }
    }
    following_ = moved >= kHeadsFollowing ? following_ + 1 : 0;
}

void Insight::add_records() {
    step_ = {};
    const float share = 1.0f / static_cast<float>(records_.size());
    for (size_t i = 0; i < records_.size(); i++) {
        const HeadRecord& record = records_[i];
        for (int zone = 0; zone < kZones; zone++) {
            sums_.zones[i * kZones + zone] += record.zones[zone];
            step_.zones[zone] += record.zones[zone] * share;
        }
        sums_.retrieved_tokens[i] += static_cast<float>(record.retrieved_tokens);
        sums_.retrieved_clusters[i] += static_cast<float>(record.retrieved_clusters);
        step_.clusters += static_cast<float>(record.retrieved_clusters) * share;
        sums_.late_clusters += record.late_clusters;
        sums_.bytes_per_step += static_cast<double>(record.bytes);
        if (!record.sampled) continue;
        sums_.samples++;
        sums_.recall += record.sample.recall;
        sums_.captured += record.sample.captured;
    }
    step_.copying = copying();
    sums_.steps++;
    sums_.copying_steps += copying();
}

std::vector<std::vector<float>> Insight::take_evidence() {
    std::vector<std::vector<float>> result = evidence_;
    const float unit =
        static_cast<float>(std::max<size_t>(1, evidence_steps_) * std::max<size_t>(1, layers_.size())) *
        static_cast<float>(query_heads_);
    for (std::vector<float>& mass : result)
        for (float& m : mass) m /= unit;
    for (std::vector<float>& mass : evidence_) std::fill(mass.begin(), mass.end(), 0.0f);
    evidence_steps_ = 0;
    return result;
}

AttentionReport Insight::report() const {
    AttentionReport result = sums_;
    const float steps = static_cast<float>(std::max<size_t>(1, sums_.steps));
    for (auto* values : {&result.zones, &result.retrieved_tokens, &result.retrieved_clusters})
        for (float& value : *values) value /= steps;
    result.bytes_per_step /= steps;
    if (sums_.samples > 0)
        result.recall /= static_cast<double>(sums_.samples),
            result.captured /= static_cast<double>(sums_.samples);
    return result;
}

} // namespace wave
