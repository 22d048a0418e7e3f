// One sequence through llama.cpp's layers with our attention and our K/V.
//
// llama.cpp gets a context of a few hundred cells that is cleared after every batch. At graph-build time its
// two writes into the K/V cache and its attention node become custom operations of ours (llama.cpp's
// evaluation callback sees every node before it is computed), which run in ggml's own thread pool.
#pragma once

#include "../wave/attention.h"
#include "../wave/segment_file.h"
#include "model.h"

#include <atomic>
#include <exception>
#include <ggml-cpu.h>
#include <memory>
#include <mutex>
#include <vector>

namespace repowave {

struct Cancelled : std::runtime_error {
    Cancelled() : runtime_error("cancelled") {}
};

struct SessionParams {
    int threads = 1;
    int batch = 512; ///< most tokens of one pass through the layers
    wave::DType kv_type = wave::DType::f16;
};

/// A stored segment that queries see, with what is added to its attention logits.
struct View {
    std::shared_ptr<const wave::Segment> segment;
    float bias = 0.0f;
};

/// Not thread-safe, but for `cancel`.
class Session {
  public:
    Session(std::shared_ptr<const Model> model, const SessionParams& params);
    ~Session();
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    /// Throws ModelUnsupported when a segment has another shape.
    void reset(std::vector<View> views);
    /// Runs the tokens at positions position, position + 1, …; their K/V join the tail. Returns the greedy
    /// next token when `sample`, else -1. Throws Cancelled (the tail is then as before), ModelUnsupported,
    /// std::runtime_error.
    llama_token forward(const std::vector<llama_token>& tokens, int position, bool sample);
    /// From any thread: makes the forward under way stop after the layer operation it is in.
    void cancel() { cancelled_.store(true); }
    /// Before a forward is handed to its thread: forgets earlier cancels.
    void arm() { cancelled_.store(false); }

    const std::vector<float>& logits() const { return logits_; }
    void truncate(size_t tokens);
    const wave::KvTail& tail() const { return tail_; }

    void start_evidence();
    /// Per view the attention mass of each token, averaged over the evidence layers, heads and single-token
    /// passes.
    std::vector<std::vector<float>> take_evidence();

  private:
    enum class Role { store_keys, store_values, attend };
    struct Hook {
        Session* session;
        uint32_t layer;
        Role role;
    };

    static bool on_node(ggml_tensor* node, bool ask, void* session);
    static void run_store(ggml_tensor* node, int thread, int threads, void* hook);
    static void run_attend(ggml_tensor* node, int thread, int threads, void* hook);
    void rewrite(ggml_tensor* node, uint32_t layer, Role role);
    const char* unsupported(const ggml_tensor* attention, uint32_t layer) const;
    void begin_attention(const ggml_tensor* node, uint32_t layer);
    void run_batch(const llama_token* tokens, int count, int position, bool sample);

    std::shared_ptr<const Model> model_;
    wave::KvShape shape_;
    int batch_;
    wave::KvTail tail_;
    wave::Attention attention_;
    std::vector<View> views_;
    std::vector<wave::KvRun> view_runs_; ///< [layers][kv_heads][views]
    std::vector<wave::KvRun> tail_runs_; ///< [kv_heads], of the layer being attended
    size_t view_tokens_ = 0;

    std::vector<Hook> hooks_;   ///< [layers][roles]
    std::vector<float> scales_; ///< [layers], the softmax scale of each attention node
    std::atomic<bool> attention_ready_{false};
    std::exception_ptr attention_failure_; ///< of the thread that began; kept until ggml has returned
    size_t batch_tokens_ = 0;              ///< of the pass under way
    std::string error_;                    ///< why the graph cannot be ours, found while it was built

    std::atomic<bool> cancelled_{false};
    std::vector<float> logits_;
    std::vector<uint32_t> evidence_layers_;
    std::vector<float> evidence_; ///< [kv_heads][view_tokens]; empty: not wanted
    size_t evidence_steps_ = 0;

    struct Deleter {
        void operator()(llama_context* p) const { llama_free(p); }
        void operator()(llama_sampler* p) const { llama_sampler_free(p); }
        void operator()(ggml_threadpool* p) const;
    };
    std::unique_ptr<ggml_threadpool, Deleter> pool_;
    std::unique_ptr<llama_context, Deleter> context_;
    std::unique_ptr<llama_sampler, Deleter> sampler_;
};

} // namespace repowave
