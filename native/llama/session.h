// One sequence through llama.cpp's layers with our attention and our K/V.
//
// llama.cpp gets a context of a few hundred cells that is cleared after every batch. At graph-build time its
// two writes into the K/V cache and its attention node become custom operations of ours (llama.cpp's
// evaluation callback sees every node before it is computed), which run in ggml's own thread pool.
#pragma once

#include "../wave/device.h"
#include "../wave/head_mass.h"
#include "../wave/insight.h"
#include "model.h"
#include "weight_matmul.h"

#include <atomic>
#include <exception>
#include <ggml-cpu.h>
#include <memory>

namespace repowave {

struct Cancelled : std::runtime_error {
    Cancelled() : runtime_error("cancelled") {}
};

struct SessionParams {
    int threads = 1;
    int batch = 512; ///< most tokens of one pass through the layers
    wave::DType kv_type = wave::DType::f16;
    bool packed = false;                      ///< whether segments are stored in eight bits per element
    std::shared_ptr<wave::WaveBuffer> buffer; ///< what keeps stored segments in memory
};

/// How much of the wave views is attended exactly, per layer and KV head.
struct Budget {
    double share = 0.02;        ///< of their tokens ...
    size_t tokens = 1024;       ///< ... but at least so many,
    size_t pass_tokens = 16384; ///< and so many in a pass of several tokens, which share one selection
    bool estimate = true;       ///< whether the rest is estimated or left out
    bool wait = true; ///< whether for clusters that are not in memory; else they are estimated, and read on
};

struct Head {
    uint32_t layer, head;
};

/// Not thread-safe, but for `cancel`.
class Session {
  public:
    Session(std::shared_ptr<const Model> model, const SessionParams& params);
    ~Session();
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    /// Forgets the tail. Throws ModelUnsupported when a segment has another shape. The segments are read by
    /// the next forward.
    void reset(std::vector<wave::View> views);
    /// Keeps the tail.
    void look(std::vector<wave::View> views);
    /// From now on it attends in passes of one token, as far as it can.
    void set_device(std::unique_ptr<wave::DeviceAttention> device) { device_ = std::move(device); }
    const wave::DeviceAttention* device() const { return device_.get(); }
    /// Of passes of one token: tensors of the layers' that were copied between a GPU and the host, by us.
    uint64_t through_host() const { return through_host_; }
    void set_budget(const Budget& budget) { budget_ = budget; }
    /// Runs the tokens at positions position, position + 1, …; their K/V join the tail. Returns the greedy
    /// next token when `sample`, else -1. Throws Cancelled (the tail is then as before), ModelUnsupported,
    /// what Views::load throws, std::runtime_error.
    llama_token forward(const std::vector<llama_token>& tokens, int position, bool sample);
    /// From any thread: makes the forward under way stop after the layer operation it is in.
    void cancel() { cancelled_.store(true); }
    /// Before a forward is handed to its thread: forgets earlier cancels.
    void arm() { cancelled_.store(false); }

    const std::vector<float>& logits() const { return logits_; }
    void truncate(size_t tokens);
    const wave::KvTail& tail() const { return tail_; }

    /// Keeps the queries of these heads from now on.
    void watch(const std::vector<Head>& heads);
    /// Runs the tokens as far as the last watched layer, keeps the queries, and leaves the tail as it was.
    void probe(const std::vector<llama_token>& tokens, int position);
    /// [heads][segments] of wave::head_mass for the queries kept, which are forgotten.
    std::vector<float> head_mass(const std::vector<std::shared_ptr<const wave::Segment>>& segments);

    /// Writes the tail with its index, see wave::write_segment.
    void save(const std::string& path, const std::string& meta);
    const wave::SegmentSeconds& save_seconds() const { return save_seconds_; }

    void start_evidence();
    wave::Insight& insight() { return insight_; }
    const wave::Views& views() const { return views_; }
    const wave::KvShape& shape() const { return shape_; }

  private:
    enum class Role { store_keys, store_values, attend };
    struct Hook {
        Session* session;
        uint32_t layer;
        Role role;
    };
    /// What the graph says about a layer's attention.
    struct LayerFacts {
        float scale = 0, soft_cap = 0;
        int window = 0; ///< 0: all that came before
    };

    // session_graph.cpp
    static bool on_node(ggml_tensor* node, bool ask, void* session);
    static void run_store(ggml_tensor* node, int thread, int threads, void* hook);
    static void run_attend(ggml_tensor* node, int thread, int threads, void* hook);
    static void run_matmul(ggml_tensor* node, int thread, int threads, void* matmul);
    void take_matmul(ggml_tensor* node);
    void rewrite(ggml_tensor* node, uint32_t layer, Role role);
    const char* unsupported(const ggml_tensor* attention, uint32_t layer) const;
    void begin_attention(ggml_tensor* node, uint32_t layer);
    void end_attention(ggml_tensor* node, int threads);
    void keep_queries(const ggml_tensor* q, uint32_t layer);
    void write_rows(const ggml_tensor* rows, const uint8_t* data, uint32_t layer, Role role, uint32_t head);

    // session_shared.cpp
    void store_shared(const ggml_tensor* rows, uint32_t layer, Role role);
    void bring_tail(uint32_t layer, size_t tokens);
    const uint8_t* on_host(const ggml_tensor* tensor, std::vector<uint8_t>& memory);
    const float* sinks(const ggml_tensor* node, uint32_t layer);

    void run_batch(const llama_token* tokens, int count, int position, bool sample);
    size_t wave_budget() const;

    std::shared_ptr<const Model> model_;
    wave::KvShape shape_;
    int batch_, threads_;
    bool packed_;
    uint32_t cells_ = 0; ///< of llama.cpp's own cache, which holds nothing of use
    std::shared_ptr<wave::WaveBuffer> buffer_;
    wave::KvTail tail_;
    wave::Attention attention_;
    std::unique_ptr<wave::DeviceAttention> device_;
    /// Whether the layers' tensors lie in a GPU's memory, see AttentionDevice.
    bool shared_;
    const ggml_tensor* keys_ = nullptr; ///< of the layer under way, while its values are to come
    std::vector<size_t> host_tail_;     ///< [layers] first tokens of the tail that tail_ has
    std::vector<uint8_t> host_q_, host_out_, host_k_, host_v_;
    std::vector<std::vector<float>> host_sinks_; ///< [layers]
    std::atomic<int> through_attention_{0};      ///< threads
    uint64_t through_host_ = 0;
    WeightMatmul matmul_;
    wave::Views views_;
    Budget budget_;
    std::vector<wave::KvRun> tail_runs_; ///< [kv_heads], of the layer being attended

    std::vector<Hook> hooks_; ///< [layers][roles]
    std::vector<LayerFacts> layers_;
    std::atomic<bool> attention_ready_{false};
    bool attending_ = false;               ///< whether the threads are to attend; told by attention_ready_
    std::exception_ptr attention_failure_; ///< of the thread that began; kept until ggml has returned
    size_t batch_tokens_ = 0;              ///< of the pass under way
    int batch_position_ = 0;
    bool sampling_ = false; ///< whether logits are wanted of it
    std::string error_;     ///< why the graph cannot be ours, found while it was built

    std::vector<Head> watched_;
    std::vector<wave::HeadQueries> queries_; ///< [watched]
    bool probing_ = false;
    std::atomic<bool> probed_{false}; ///< the last watched layer has been seen

    std::atomic<bool> cancelled_{false};
    std::vector<float> logits_;
    wave::Insight insight_;
    wave::SegmentSeconds save_seconds_;

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
