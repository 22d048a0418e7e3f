#include "views.h"

#include <limits>

namespace wave {

void Views::set(const KvShape& shape, std::vector<View> views) {
    for (const View& view : views)
        if (view.segment->shape() != shape)
            throw std::invalid_argument("a stored segment belongs to another model");
    views_ = std::move(views);
    layers_.clear();
    for (uint32_t layer = 0; layer < shape.layers; layer++) layers_.push_back(make_layer(shape, layer));
    wave_tokens_ = 0;
    for (const View& view : views_)
        if (view.detail == Detail::wave) wave_tokens_ += view.segment->tokens();
    set_background(shape);
}

/// A layer without an index sees wave views token by token and coarse ones not at all: its window is small.
Views::Layer Views::make_layer(const KvShape& shape, uint32_t number) const {
    Layer layer;
    const auto is = [&](const View& view, Detail detail) {
        const bool plain = view.detail == Detail::wave && !view.segment->has_index(number);
        return (plain ? Detail::exact : view.detail) == detail;
    };
    const auto run_of = [&](const View& view, uint32_t head) {
        KvRun run = view.segment->run(number, head);
        run.bias = view.bias, run.position = view.position;
        return run;
    };
    for (uint32_t head = 0; head < shape.kv_heads; head++)
        for (const View& view : views_) {
            if (is(view, Detail::exact)) layer.exact.push_back(run_of(view, head));
            if (is(view, Detail::wave))
                layer.wave.push_back({run_of(view, head), view.segment->clusters(number, head)});
        }
    for (const Detail detail : {Detail::exact, Detail::wave})
        for (size_t i = 0; i < views_.size(); i++) {
            if (!is(views_[i], detail)) continue;
            layer.spans.push_back({i, layer.slots, views_[i].segment->tokens()});
            layer.slots += views_[i].segment->tokens();
            if (detail == Detail::exact) layer.exact_slots = layer.slots;
        }
    return layer;
}

/// All views have a place in the background, hidden unless coarse, so that a gate that looks again changes
/// nothing but biases.
void Views::set_background(const KvShape& shape) {
    Background::Segments segments;
    std::vector<float> biases;
    bool coarse = false;
    for (const View& view : views_) {
        const bool shown = view.detail == Detail::coarse;
        segments.push_back(view.segment);
        biases.push_back(shown ? view.bias : -std::numeric_limits<float>::infinity());
        coarse = coarse || shown;
    }
    if (coarse)
        background_.show(shape, segments, biases);
    else
        background_.hide();
}

size_t Views::wave_clusters() const {
    size_t clusters = 0;
    if (!layers_.empty() && !layers_[0].wave.empty())
        for (const View& view : views_)
            if (view.detail == Detail::wave) clusters += view.segment->clusters(0, 0).fine.count;
    return clusters;
}

} // namespace wave
