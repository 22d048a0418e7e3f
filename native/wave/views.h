// The stored segments that a session looks at, as attention wants them: layer by layer.
#pragma once

#include "background.h"
#include "wave_pass.h"

namespace wave {

/// How closely a segment is looked at: token by token, tripartite, or only through its coarse summaries.
enum class Detail { exact, wave, coarse };

struct View {
    std::shared_ptr<const Segment> segment;
    Detail detail = Detail::exact;
    float bias = 0;       ///< added to every attention logit
    int64_t position = 0; ///< of its first token
};

class Views {
  public:
    /// Throws std::invalid_argument when a segment is of another shape.
    void set(const KvShape& shape, std::vector<View> views);

    const std::vector<View>& list() const { return views_; }
    const std::vector<KvRun>& exact(uint32_t layer) const {
        return layers_[layer].exact;
    } ///< [kv_heads][runs]
    const std::vector<WaveRun>& wave(uint32_t layer) const {
        return layers_[layer].wave;
    } ///< [kv_heads][runs]
    const std::vector<CoarseRun>& background(uint32_t layer) const {
        return background_.layer(layer);
    } ///< [kv_heads][runs]
    size_t wave_tokens() const { return wave_tokens_; }
    /// Of layer 0's first head; others differ by a few.
    size_t wave_clusters() const;

    /// Where the slots of a layer's exact and wave runs, in this order, come from.
    struct Span {
        size_t view, first, tokens;
    };
    const std::vector<Span>& spans(uint32_t layer) const { return layers_[layer].spans; }
    /// The slots of the layer's exact runs, which come first.
    size_t exact_slots(uint32_t layer) const { return layers_[layer].exact_slots; }
    size_t slots(uint32_t layer) const { return layers_[layer].slots; }

  private:
    struct Layer {
        std::vector<KvRun> exact;
        std::vector<WaveRun> wave;
        std::vector<Span> spans;
        size_t exact_slots = 0, slots = 0;
    };
    Layer make_layer(const KvShape& shape, uint32_t layer) const;
    void set_background(const KvShape& shape);

    std::vector<View> views_;
    std::vector<Layer> layers_;
    Background background_;
    size_t wave_tokens_ = 0;
};

} // namespace wave
