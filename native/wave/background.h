// The segments that a question is not about, kept in view: the coarse summaries of all segments side by side,
// so that a million tokens cost as much as a few thousand keys.
#pragma once

#include "wave_buffer.h"

namespace wave {

class Background {
  public:
    using Segments = std::vector<std::shared_ptr<const Segment>>;

    /// biases[i] is added to every logit of segment i; -infinity hides it. Summaries are copied together once
    /// and stay, whatever is shown or hidden of them: only a segment that is not among them, or another
    /// order, makes another copy, for which new ones are read. Throws as Segment and WaveBuffer do; then
    /// nothing is shown.
    void show(const KvShape& shape, const Segments& segments, const std::vector<float>& biases,
              WaveBuffer& buffer);
    /// Shows nothing and keeps the copy.
    void hide() { runs_.clear(); }
    /// [kv_heads][runs] of one layer: neighbours with the same bias are one run.
    const std::vector<CoarseRun>& layer(uint32_t layer) const;

  private:
    struct Head {
        AlignedBytes keys, values;
        std::vector<float> log_sizes;
        std::vector<size_t> first; ///< per segment, and the end
        Summaries slice(const KvShape& shape, size_t begin, size_t end) const;
    };
    bool has_all(const Segments& segments, const std::vector<float>& biases);
    void copy(const KvShape& shape, const Segments& segments, WaveBuffer& buffer);
    CoarseRun run(const Head& head, size_t begin, size_t end) const;

    KvShape shape_;
    std::shared_ptr<void> room_; ///< of the copy, in the buffer
    Segments segments_;
    std::vector<float> biases_;                ///< per segment
    std::vector<Head> heads_;                  ///< [layers * kv_heads]
    uint64_t id_ = 0;                          ///< of what they hold
    std::vector<std::vector<CoarseRun>> runs_; ///< per layer; none while hidden
};

} // namespace wave
