// The wave runs of one KV head as a block of query rows sees them: all clusters are scored, the best
// retrieved and attended exactly, all others estimated (tripartite attention, RetroInfer, section 4.2).
#pragma once

#include "clusters.h"
#include "selection.h"

namespace wave {

/// A stored segment with its index, one layer and KV head.
struct WaveRun {
    KvRun run;
    Clusters clusters;
};

/// What exact attention over the wave runs would have seen of the choice made.
struct Sample {
    float recall;   ///< share of the 100 tokens with the most mass that were retrieved
    float captured; ///< share of the mass that was retrieved
};

/// Query rows and how they look at keys.
struct Rows {
    const float* q; ///< [count][dk], multiplied by the softmax scale
    int count;
    float soft_cap;
};

class WavePass {
  public:
    explicit WavePass(const KvShape& shape) : shape_(shape) {}

    /// Sets the runs up for `rows` query rows; throws std::bad_alloc.
    void begin(const WaveRun* runs, size_t count, int rows);
    size_t clusters() const { return ranks_.size(); }
    size_t tokens() const { return tokens_; }

    /// Scores the clusters begin ... end. Threads may score different ones at the same time.
    void score(const Rows& rows, size_t begin, size_t end, float* scratch);
    /// Chooses clusters that hold about `budget` tokens; after all are scored.
    void select(size_t budget, float* scratch);

    size_t retrieved_clusters() const { return chosen_count_; }
    size_t retrieved_tokens() const { return slots_.size(); }
    /// Attends to the part-th of `parts` equal shares of the retrieved tokens. `block` comes with the rows,
    /// the state and scratch; logits, when set, are [rows][stride] with a column per retrieved token.
    void attend_retrieved(size_t part, size_t parts, AttendBlock block) const;
    /// Estimates the clusters begin ... end that are not retrieved.
    void estimate(size_t begin, size_t end, int rows, float* m, float* l, float* o, float* scratch) const;

    /// mass[slot] += that of the retrieved tokens, for slots counted over all runs. logits as
    /// attend_retrieved left them for one row.
    void add_retrieved_mass(const float* logits, float m, float l, float* mass);
    /// Against exact attention of these rows; costs as much.
    Sample sample(const Rows& rows, float* scratch);

  private:
    /// Consecutive retrieved slots of one run.
    struct Part {
        size_t run, begin, end; ///< indexes into slots_
    };
    template <class Visit> void each_run(size_t begin, size_t end, Visit visit) const;
    WeighBlock weigh_block(int rows, float* m, float* l, float* o, float* scratch) const;

    KvShape shape_;
    const WaveRun* runs_ = nullptr;
    std::vector<ClusterSizes> sizes_;   ///< per run
    std::vector<size_t> first_cluster_; ///< per run, and the end
    std::vector<size_t> first_slot_;    ///< per run
    size_t tokens_ = 0;
    int rows_ = 0;
    std::vector<float> logits_; ///< [rows][clusters]; -inf once retrieved
    std::vector<float> ranks_, m_, l_, temporary_;
    Selection selection_;
    size_t chosen_count_ = 0;
    std::vector<uint32_t> slots_; ///< of the retrieved tokens, in their runs
    std::vector<Part> parts_;
};

} // namespace wave
