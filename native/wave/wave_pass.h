// The wave runs of one KV head as a block of query rows sees them: all clusters are scored, the best
// retrieved and attended exactly, all others estimated (tripartite attention, RetroInfer, section 4.2).
#pragma once

#include "block_cache.h"
#include "clusters.h"
#include "selection.h"

#include <optional>

namespace wave {

/// A stored segment with its index, one layer and KV head. Its slots are in a file and, as far as they are
/// used, in a block cache.
struct WaveRun {
    KvRun run;
    Clusters clusters;
    uint32_t number; ///< in the cache
    const ClusterFile* file;
};

/// Where clusters are retrieved from.
struct Retrieval {
    BlockCache* cache;
    uint32_t head; ///< layer * kv_heads + KV head
    bool wait;     ///< whether for clusters that are not in the cache; else they are estimated
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
    /// Chooses clusters that hold about `budget` tokens, and retrieves them; after all are scored. Those that
    /// cannot be had are estimated.
    void select(size_t budget, const Retrieval& from, float* scratch);
    /// Lets go of what was retrieved.
    void end() { step_.reset(); }

    /// Those that would have been chosen with this budget. Other threads may attend and estimate meanwhile.
    const std::vector<ClusterRef>& likely(size_t budget) {
        best(budget, likely_);
        return likely_;
    }
    size_t late_clusters() const { return acquired_.missing.size(); }
    size_t retrieved_clusters() const { return chosen_.size() - late_clusters(); }
    size_t retrieved_tokens() const { return slots_.size(); }
    /// Attends to the part-th of `parts` equal shares of the retrieved tokens. `block` comes with the rows,
    /// the state and scratch; logits, when set, are [rows][stride] with a column per retrieved token.
    void attend_retrieved(size_t part, size_t parts, AttendBlock block) const;
    /// Estimates the clusters begin ... end that are not retrieved.
    void estimate(size_t begin, size_t end, int rows, float* m, float* l, float* o, float* scratch) const;

    /// mass[slot] += that of the retrieved tokens, for slots counted over all runs. logits as
    /// attend_retrieved left them for one row.
    void add_retrieved_mass(const float* logits, float m, float l, float* mass);
    /// Against exact attention of these rows; costs as much, and reads all slots of the head (see Retrieval).
    /// Nothing when they cannot be read.
    std::optional<Sample> sample(const Rows& rows, uint32_t head, float* scratch);

  private:
    /// Consecutive retrieved tokens of one run.
    struct Part {
        size_t run, begin, end; ///< indexes into slots_
    };
    /// Clusters with the most rank that hold about `budget` tokens, over all runs, and as the cache knows
    /// them.
    const std::vector<uint32_t>& best(size_t budget, std::vector<ClusterRef>& refs);
    void book(const std::vector<uint32_t>& chosen);
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
    std::vector<ClusterRef> chosen_, likely_;
    const uint8_t* rows_base_ = nullptr; ///< what acquired_.rows counts from
    BlockCache::Acquired acquired_;
    std::unique_ptr<BlockCache::Step> step_; ///< keeps the rows in their place
    std::vector<uint32_t> slots_;            ///< of the retrieved tokens, in their runs
    std::vector<Part> parts_;
};

} // namespace wave
