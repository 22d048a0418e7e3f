// Attention of a block of tokens over stored runs and the session's own tail, split over threads: exact over
// runs that are to be seen whole, tripartite over those with an index, and estimated over the background.
#pragma once

#include "wave_pass.h"

#include <atomic>

namespace wave {

/// Where attention mass lies. steady: what is always attended exactly (frame, question, answer, exact runs).
enum Zone { kSteady, kRetrieved, kEstimated, kCoarse, kZones };

/// What a pass of one token did, for one KV head.
struct HeadRecord {
    float zones[kZones]; ///< share of the mass, mean over the group's query heads; sinks count as steady
    uint32_t retrieved_tokens, retrieved_clusters;
    uint32_t late_clusters; ///< chosen, and estimated since they could not be had
    size_t bytes;           ///< of K, V and summaries read
    bool sampled;
    Sample sample;
};

/// One layer's attention for `tokens` consecutive tokens. Strides are in bytes.
struct AttentionCall {
    const uint8_t* q; ///< float [tokens][query_heads][dk]
    size_t q_token_stride, q_head_stride;
    uint8_t* out; ///< float [tokens][query_heads][dv]
    size_t out_token_stride, out_head_stride;
    int tokens;
    float scale;
    float soft_cap;     ///< 0: none
    const float* sinks; ///< null, or [query_heads]: a logit that takes mass and has no value
    int window; ///< 0, or how many tokens back, itself included, a token sees: exact runs and the tail only
    int64_t position;   ///< of the first token; used with a window
    const KvRun* exact; ///< [kv_heads][exact_count]: seen whole by every token
    size_t exact_count;
    const WaveRun* wave; ///< [kv_heads][wave_count]
    size_t wave_count;
    BlockCache* cache;   ///< of the wave runs
    uint32_t first_head; ///< layer * kv_heads
    bool wait;           ///< see Retrieval
    size_t budget;       ///< tokens of the wave runs that are retrieved, per KV head and block of tokens
    bool estimate;       ///< whether the other clusters are estimated
    const CoarseRun* background; ///< [kv_heads][background_count]
    size_t background_count;
    const KvRun* tail; ///< [kv_heads]: its last `tokens` tokens are the ones computed; causal
    bool on_device;    ///< q and out are memory of a device, with a token's heads side by side: for it only
    // With one token only:
    float* mass; ///< null, or [kv_heads][tokens in exact and wave runs]: attention mass is added per slot,
                 ///< summed over the group
    HeadRecord* records; ///< null, or [kv_heads]
    bool sample;         ///< whether to compare the choice with exact attention
};

/// Splits a call into items that threads take one after another. `begin` is called by one thread before any
/// `work`.
class Attention {
  public:
    Attention(const KvShape& shape, int query_heads, int threads);

    void begin(const AttentionCall& call);
    /// Called by every thread; returns when no item is left to take. The last one to finish a block writes it
    /// out.
    void work(int thread);

  private:
    /// Keys of one item, at least, when a short block of tokens alone would not keep all threads busy.
    /// Nothing depends on the number of threads, so that the result does not either.
    static constexpr size_t kChunkKeys = 1024;

    /// A part of a run, or of a list of clusters.
    struct Piece {
        uint32_t run; ///< index into exact; exact_count is the tail
        size_t begin, count;
        size_t offset; ///< of the first token among all tokens of exact runs and tail
    };
    /// Work on one zone for one block and head.
    struct Chunk {
        Zone zone;
        size_t begin, end; ///< steady: pieces; retrieved: part and parts; otherwise clusters
    };
    struct Partial {
        float *m, *l, *o;
    };
    /// A block of tokens with one KV head.
    struct Pair {
        size_t number;
        int head, first_token, rows;
    };

    Pair pair(size_t number) const;

    // attention_plan.cpp
    void plan(const AttentionCall& call);
    void plan_exact(bool whole, size_t chunk_keys);
    void plan_waves(bool whole);
    size_t background_clusters(int head) const;
    void prepare_memory();

    void run_score_item(size_t item, int thread);
    void run_item(size_t item, int thread);
    void run_chunk(const Pair& pair, const Chunk& chunk, WavePass* pass, const Partial& to, int thread);
    void attend_pieces(const Pair& pair, const Chunk& chunk, AttendBlock& block);
    void attend_background(const Pair& pair, const Chunk& chunk, AttendBlock& block);
    void select(const Pair& pair, WavePass& pass, int thread);
    void read_ahead(const Pair& pair, WavePass& pass);
    void finish(const Pair& pair, WavePass* pass, const Partial& state);
    void merge(const Pair& pair, const Partial& to) const;
    void add_sinks(const Pair& pair, const Partial& state) const;
    void record(const Pair& pair, const WavePass* pass, const Partial& state) const;
    void add_mass(const Pair& pair, WavePass* pass, const Partial& state);

    void gather_queries(const Pair& pair, float* q) const;
    void clear(const Partial& state, int rows) const;
    Partial partial(size_t pair, size_t chunk) const;
    float* scratch(int thread) const { return thread_memory_.get() + thread * thread_floats_; }
    float* queries(int thread) const {
        return scratch(thread) + attend_scratch_floats(max_rows_, shape_.dk, shape_.dv);
    }
    Partial local(int thread) const;
    const CoarseRun* background(int head) const { return call_.background + head * call_.background_count; }

    KvShape shape_;
    int query_heads_, group_, max_rows_;
    size_t thread_floats_;
    std::unique_ptr<float, FreeDeleter> thread_memory_;
    AttentionCall call_{};
    size_t blocks_ = 0, pairs_ = 0, exact_tokens_ = 0, steady_tokens_ = 0, wave_tokens_ = 0,
           wave_clusters_ = 0;
    bool whole_waves_ = false; ///< one thread does all of a pair's wave runs
    std::vector<Piece> pieces_;
    std::vector<Chunk> chunks_;
    size_t score_chunks_ = 0; ///< per head, when the heads' clusters are scored by several threads
    int partial_rows_ = 0;
    std::vector<float> partials_, logits_, retrieved_logits_;
    std::vector<WavePass> passes_;                ///< per KV head, or per thread when whole_waves_
    std::vector<std::atomic<uint32_t>> left_;     ///< [pairs] chunks not done yet
    std::vector<std::atomic<uint32_t>> to_score_; ///< [kv_heads] score chunks not done yet
    std::vector<std::atomic<bool>> selected_;     ///< [kv_heads]
    std::atomic<size_t> next_{0};
};

} // namespace wave
