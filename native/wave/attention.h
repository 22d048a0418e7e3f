// Exact attention of a block of tokens over stored runs and the session's own tail, split over threads.
// This is the seam where the wave index joins: it will hand in fewer runs and estimates for the rest.
#pragma once

#include "kv.h"

#include <atomic>
#include <vector>

namespace wave {

/// One layer's attention for `tokens` consecutive tokens. Strides are in bytes.
struct AttentionCall {
    const uint8_t* q; ///< float [tokens][query_heads][dk]
    size_t q_token_stride, q_head_stride;
    uint8_t* out; ///< float [tokens][query_heads][dv]
    size_t out_token_stride, out_head_stride;
    int tokens;
    float scale;
    const KvRun* views; ///< [kv_heads][view_count]: seen whole by every token
    size_t view_count;
    const KvRun* tail; ///< [kv_heads]: its last `tokens` tokens are the ones computed; causal
    float* mass; ///< null, or [kv_heads][tokens in views]: attention mass is added, summed over the group.
                 ///< Only with one token.
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
    /// A part of a run; pieces of a chunk are attended one after another.
    struct Piece {
        uint32_t run; ///< index into views; view_count is the tail
        size_t begin, tokens;
        size_t offset; ///< of the first token among all tokens of all runs
    };
    struct Partial {
        float *m, *l, *o;
    };

    void split(const AttentionCall& call);
    void run_item(size_t item, int thread);
    void attend_pieces(int head, int first_token, int rows, size_t chunk, const Partial& to, int thread);
    void gather_queries(int head, int first_token, int rows, float* q) const;
    int block_tokens(size_t block) const;
    Partial partial(size_t item) const;
    float* thread_buffer(int thread) const { return thread_memory_.get() + thread * thread_floats_; }

    KvShape shape_;
    int query_heads_, group_, max_rows_;
    size_t thread_floats_;
    std::unique_ptr<float, FreeDeleter> thread_memory_;
    std::vector<float> partials_, logits_;
    AttentionCall call_{};
    std::vector<Piece> pieces_;
    std::vector<size_t> chunks_; ///< first piece of each chunk, and the end
    int partial_rows_ = 0;       ///< rows of a block, at most
    size_t blocks_ = 0, chunk_count_ = 0, total_tokens_ = 0, view_tokens_ = 0;
    std::vector<std::atomic<uint32_t>> left_; ///< [kv_heads * blocks] chunks not done yet
    std::atomic<size_t> next_{0};
};

} // namespace wave
