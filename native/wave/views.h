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
    explicit Views(std::shared_ptr<WaveBuffer> buffer) : buffer_(std::move(buffer)) {}

    /// Reads nothing. Throws std::invalid_argument when a segment is of another shape.
    void set(const KvShape& shape, std::vector<View> views);
    /// Brings what attention wants of the views into memory, unless it is there; before any attention. Throws
    /// as Segment and WaveBuffer do, and can be tried again.
    void load();

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
    /// Of the wave runs' clusters; null without wave views.
    BlockCache* cache() const { return cache_; }
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
    /// [tokens] the token in each slot of a view's run; null where slots are tokens. After load.
    const uint16_t* tokens(size_t view, uint32_t layer, uint32_t head) const;

  private:
    struct Layer {
        std::vector<KvRun> exact;
        std::vector<WaveRun> wave;
        std::vector<Span> spans;
        size_t exact_slots = 0, slots = 0;
    };
    /// What is in memory of a view.
    struct Held {
        std::shared_ptr<const ExactSlots> exact;
        std::shared_ptr<const WaveIndex> index;
    };
    void hold(bool load);
    void make_runs(uint32_t layer);
    void set_spans(uint32_t layer);
    bool is(const View& view, uint32_t layer, Detail detail) const;
    void show_background();

    std::shared_ptr<WaveBuffer> buffer_;
    KvShape shape_;
    std::vector<View> views_;
    std::vector<Held> held_; ///< per view
    bool loaded_ = false;
    BlockCache* cache_ = nullptr;
    std::vector<Layer> layers_;
    Background background_;
    size_t wave_tokens_ = 0;
};

} // namespace wave
