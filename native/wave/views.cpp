#include "views.h"

#include <limits>

namespace wave {

void Views::set(const KvShape& shape, std::vector<View> views) {
    for (const View& view : views)
        if (view.segment->shape() != shape)
            throw std::invalid_argument("a stored segment belongs to another model");
    shape_ = shape;
    views_ = std::move(views);
    held_.clear();
    loaded_ = false;
    cache_ = nullptr;
    background_.hide();
    layers_.assign(shape.layers, {});
    for (uint32_t layer = 0; layer < shape.layers; layer++) set_spans(layer);
    wave_tokens_ = 0;
    for (const View& view : views_)
        if (view.detail == Detail::wave) wave_tokens_ += view.segment->tokens();
}

/// A layer without an index sees wave views token by token and coarse ones not at all: its window is small.
bool Views::is(const View& view, uint32_t layer, Detail detail) const {
    const bool plain = view.detail == Detail::wave && !view.segment->has_index(layer);
    return (plain ? Detail::exact : view.detail) == detail;
}

void Views::set_spans(uint32_t number) {
    Layer& layer = layers_[number];
    for (const Detail detail : {Detail::exact, Detail::wave})
        for (size_t i = 0; i < views_.size(); i++) {
            if (!is(views_[i], number, detail)) continue;
            layer.spans.push_back({i, layer.slots, views_[i].segment->tokens()});
            layer.slots += views_[i].segment->tokens();
            if (detail == Detail::exact) layer.exact_slots = layer.slots;
        }
}

void Views::load() {
    if (loaded_) return;
    held_.assign(views_.size(), {});
    hold(false); // first what is there, so that nothing of it makes room for the rest
    hold(true);
    for (const Held& held : held_)
        if (held.index) cache_ = &held.index->cache();
    show_background();
    for (uint32_t layer = 0; layer < shape_.layers; layer++) make_runs(layer);
    loaded_ = true;
}

void Views::hold(bool load) {
    for (size_t i = 0; i < views_.size(); i++) {
        const View& view = views_[i];
        if (view.detail == Detail::exact && !held_[i].exact)
            held_[i].exact = buffer_->exact(view.segment, load);
        if (view.detail == Detail::wave && !held_[i].index)
            held_[i].index = buffer_->index(view.segment, load);
    }
}

void Views::make_runs(uint32_t number) {
    Layer& layer = layers_[number];
    layer.exact.clear(), layer.wave.clear();
    for (size_t head = number * shape_.kv_heads; head < (number + 1) * shape_.kv_heads; head++)
        for (size_t i = 0; i < views_.size(); i++) {
            const View& view = views_[i];
            const auto& [exact, index] = held_[i];
            if (is(view, number, Detail::exact)) {
                layer.exact.push_back(exact ? exact->run(head) : index->exact(head));
                layer.exact.back().bias = view.bias, layer.exact.back().position = view.position;
            } else if (index)
                layer.wave.push_back(
                    {{nullptr, view.segment->tokens(), view.bias, view.position, index->id()},
                     index->clusters(head),
                     index->number(),
                     &index->file()});
        }
}

/// All views have a place in the background, hidden unless coarse, so that a gate that looks again changes
/// nothing but biases.
void Views::show_background() {
    Background::Segments segments;
    std::vector<float> biases;
    bool coarse = false;
    for (const View& view : views_) {
        const bool shown = view.detail == Detail::coarse;
        segments.push_back(view.segment);
        biases.push_back(shown ? view.bias : -std::numeric_limits<float>::infinity());
        coarse = coarse || shown;
    }
    if (coarse) background_.show(shape_, segments, biases, *buffer_);
}

const uint16_t* Views::tokens(size_t view, uint32_t layer, uint32_t head) const {
    const auto& index = held_[view].index;
    return index ? index->clusters(layer * shape_.kv_heads + head).tokens : nullptr;
}

size_t Views::wave_clusters() const {
    size_t clusters = 0;
    for (const View& view : views_)
        if (view.detail == Detail::wave) clusters += view.segment->entry(0).fine;
    return clusters;
}

} // namespace wave
