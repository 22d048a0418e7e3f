// What attention saw while an answer was written: evidence for citations, mass by zone, sparsity by layer and
// head.
#pragma once

#include "attention.h"
#include "views.h"

namespace wave {

/// Means over layers and heads of one pass of one token.
struct StepRecord {
    float zones[kZones] = {};
    float clusters = 0; ///< retrieved
    bool copying = false;
};

/// Means over the steps since the start; [layers * kv_heads] where a vector.
struct AttentionReport {
    size_t steps = 0, copying_steps = 0, samples = 0;
    std::vector<float> zones; ///< [layers * kv_heads][kZones]
    std::vector<float> retrieved_tokens, retrieved_clusters;
    size_t late_clusters = 0; ///< sum
    double bytes_per_step = 0, recall = 0, captured = 0;
};

class Insight {
  public:
    Insight(const KvShape& shape, int query_heads);

    /// Forgets everything. Evidence is taken from `layers`.
    void start(const Views& views, std::vector<uint32_t> layers);
    /// Other views from now on: evidence that was not taken is forgotten, the report goes on.
    void set_views(const Views& views);
    void stop() { started_ = false; }
    bool started() const { return started_; }

    /// Before a pass of one token.
    void begin_step();
    HeadRecord* records(uint32_t layer) {
        return records_.data() + static_cast<size_t>(layer) * shape_.kv_heads;
    }
    /// Null unless evidence is taken from this layer.
    float* mass(uint32_t layer);
    /// Whether this step compares the choice with exact attention in this layer.
    bool samples(uint32_t layer) const;
    /// After it.
    void end_step(const Views& views);

    /// Whether the model has been copying a run of stored tokens, word for word, for some steps.
    bool copying() const { return following_ >= kFollowing; }
    /// Per view the attention mass of its tokens since the last time, averaged over steps, layers and heads;
    /// empty for coarse views.
    std::vector<std::vector<float>> take_evidence();
    const StepRecord& last_step() const { return step_; }
    AttentionReport report() const;

  private:
    static constexpr int kFollowing = 3;

    /// Where a layer's head looked most, among wave runs.
    struct Place {
        size_t view = SIZE_MAX, token = 0;
    };
    void add_evidence(const Views& views);
    void add_records();
    static size_t token_of(const Views& views, uint32_t layer, uint32_t head, size_t view, size_t slot);

    KvShape shape_;
    int query_heads_;
    bool started_ = false;
    std::vector<uint32_t> layers_;
    std::vector<std::vector<float>> mass_;     ///< per evidence layer: [kv_heads][slots], of this step
    std::vector<std::vector<float>> evidence_; ///< per view: [tokens]
    std::vector<Place> places_;                ///< [evidence layers][kv_heads], of the step before
    int following_ = 0;
    std::vector<HeadRecord> records_; ///< [layers][kv_heads], of this step
    size_t evidence_steps_ = 0;
    StepRecord step_;
    AttentionReport sums_;
};

} // namespace wave
