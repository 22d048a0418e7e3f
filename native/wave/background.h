// The segments that a question is not about, kept in view: the coarse summaries of all segments side by side,
// so that a million tokens cost as much as a few thousand keys.
#pragma once

#include "segment_file.h"

namespace wave {

class Background {
  public:
    /// Copies the coarse summaries of the segments together, unless they are there already.
    void set_segments(const KvShape& shape, const std::vector<std::shared_ptr<const Segment>>& segments);
    /// biases[i] is added to every logit of segment i; -infinity hides it.
    void set_biases(const std::vector<float>& biases);
    /// [kv_heads] of one layer, log_sizes with the biases; null when nothing is visible.
    const Summaries* layer(uint32_t layer) const;

  private:
    struct Head {
        AlignedBytes keys, values;
        std::vector<float> log_sizes, biased;
        std::vector<size_t> first; ///< per segment, and the end
    };

    KvShape shape_;
    std::vector<std::shared_ptr<const Segment>> segments_;
    std::vector<Head> heads_;          ///< [layers * kv_heads]
    std::vector<Summaries> summaries_; ///< [layers * kv_heads]
    bool visible_ = false;
};

} // namespace wave
