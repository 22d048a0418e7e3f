// The nodes of llama.cpp's graph that become ours.
#include "session.h"

#include <cstring>
#include <ggml-backend.h>
#include <sched.h>

namespace repowave {
namespace {

/// The layer in a name such as cache_k_l12, or -1. Exact: views are named "cache_k_l12 (view)".
int layer_of(const char* name, const char* prefix) {
    const size_t n = std::strlen(prefix);
    if (std::strncmp(name, prefix, n) != 0) return -1;
    char* end;
    const long layer = std::strtol(name + n, &end, 10);
    return end != name + n && *end == '\0' ? static_cast<int>(layer) : -1;
}

const ggml_tensor* root(const ggml_tensor* tensor) {
    while (tensor->view_src) tensor = tensor->view_src;
    return tensor;
}

struct AttentionParams {
    float scale, max_bias, soft_cap;
};
AttentionParams params_of(const ggml_tensor* attention) {
    AttentionParams params;
    std::memcpy(&params, attention->op_params, sizeof params);
    return params;
}

/// A throw-away custom node tells how ggml keeps the function of one.
void make_custom(ggml_tensor* node, ggml_custom_op_t function, void* user) {
    ggml_context* scratch = ggml_init({ggml_tensor_overhead(), nullptr, true});
    const ggml_tensor* custom =
        ggml_custom_4d(scratch, GGML_TYPE_F32, 1, 1, 1, 1, nullptr, 0, function, GGML_N_TASKS_MAX, user);
    node->op = custom->op;
    std::memcpy(node->op_params, custom->op_params, sizeof node->op_params);
    ggml_free(scratch);
}

} // namespace

bool Session::on_node(ggml_tensor* node, bool ask, void* user) {
    auto* self = static_cast<Session*>(user);
    if (!ask) return true;
    if (node->op == GGML_OP_SET_ROWS && node->view_src) {
        const int keys = layer_of(node->view_src->name, "cache_k_l");
        const int values = layer_of(node->view_src->name, "cache_v_l");
        if (keys >= 0) self->rewrite(node, keys, Role::store_keys);
        if (values >= 0) self->rewrite(node, values, Role::store_values);
    } else if (node->op == GGML_OP_FLASH_ATTN_EXT) {
        const int layer = layer_of(root(node->src[1])->name, "cache_k_l");
        const char* reason = layer < 0 ? "an attention without a K/V cache" : self->unsupported(node, layer);
        if (reason)
            self->error_ = self->model_->architecture() + " uses " + reason;
        else
            self->rewrite(node, layer, Role::attend);
    } else if (node->op == GGML_OP_MUL_MAT) {
        self->take_matmul(node);
    }
    return false;
}

const char* Session::unsupported(const ggml_tensor* node, uint32_t layer) const {
    if (params_of(node).max_bias != 0.0f) return "ALiBi position biases";
    if (layer_of(root(node->src[2])->name, "cache_v_l") != static_cast<int>(layer))
        return "latent (MLA) attention";
    if (node->src[0]->ne[0] != shape_.dk || node->src[2]->ne[0] != shape_.dv ||
        node->src[1]->ne[2] != shape_.kv_heads || node->src[0]->ne[2] != model_->query_heads())
        return "layers of different shapes";
    if (node->src[4] && (node->src[4]->type != GGML_TYPE_F32 || node->src[4]->ne[0] != model_->query_heads()))
        return "attention sinks of an unknown form";
    return nullptr;
}

void Session::rewrite(ggml_tensor* node, uint32_t layer, Role role) {
    if (role == Role::attend) {
        const AttentionParams params = params_of(node);
        // A layer whose cache is smaller than the context has a sliding window.
        const bool windowed = root(node->src[1])->ne[1] < cells_;
        layers_[layer] = {params.scale, params.soft_cap, windowed ? llama_model_n_swa(model_->get()) : 0};
    }
    make_custom(node, role == Role::attend ? run_attend : run_store,
                &hooks_[layer * 3 + static_cast<size_t>(role)]);
}

void Session::take_matmul(ggml_tensor* node) {
    try {
        if (matmul_.takes(node)) make_custom(node, run_matmul, &matmul_);
    } catch (...) { // as in run_attend
        attention_failure_ = std::current_exception();
    }
}

void Session::run_matmul(ggml_tensor* node, int thread, int threads, void* matmul) {
    static_cast<WeightMatmul*>(matmul)->run(node, thread, threads);
}

/// Every thread of the pool comes here; each writes its share of the heads.
void Session::run_store(ggml_tensor* node, int thread, int threads, void* user) {
    const Hook& hook = *static_cast<Hook*>(user);
    Session& self = *hook.session;
    const ggml_tensor* rows = node->src[0]; // float [kv_heads * d, tokens]
    if (!self.shared_) {
        for (uint32_t head = thread; head < self.shape_.kv_heads; head += threads)
            self.write_rows(rows, static_cast<const uint8_t*>(rows->data), hook.layer, hook.role, head);
    } else if (thread == 0) {
        try {
            self.store_shared(rows, hook.layer, hook.role);
        } catch (...) { // as in run_attend
            self.attention_failure_ = std::current_exception();
        }
    }
    self.attention_ready_.store(false, std::memory_order_relaxed);
}

void Session::write_rows(const ggml_tensor* rows, const uint8_t* data, uint32_t layer, Role role,
                         uint32_t head) {
    const size_t at = tail_.tokens(), n = batch_tokens_;
    if (role == Role::store_keys)
        tail_.write_keys(layer, head, at, n, data, rows->nb[1]);
    else
        tail_.write_values(layer, head, at, n, data, rows->nb[1]);
}

void Session::keep_queries(const ggml_tensor* q, uint32_t layer) {
    uint32_t last = 0;
    const uint8_t* data = nullptr;
    for (size_t i = 0; i < watched_.size(); i++) {
        last = std::max(last, watched_[i].layer);
        if (watched_[i].layer != layer) continue;
        if (!data) data = on_host(q, host_q_);
        for (size_t t = 0; t < batch_tokens_; t++) {
            const auto* row =
                reinterpret_cast<const float*>(data + t * q->nb[1] + watched_[i].head * q->nb[2]);
            for (uint32_t d = 0; d < shape_.dk; d++) queries_[i].q.push_back(row[d] * layers_[layer].scale);
        }
    }
    if (probing_ && layer == last) probed_.store(true);
}

void Session::begin_attention(ggml_tensor* node, uint32_t layer) {
    const ggml_tensor* q = node->src[0]; // float [dk, tokens, query_heads]
    keep_queries(q, layer);
    // Without logits nobody reads what comes out of the last layer, only its K and V; but it is computed
    // with.
    attending_ = sampling_ || insight_.started() || layer + 1 < shape_.layers;
    if (!attending_) {
        ggml_backend_tensor_memset(node, 0, 0, ggml_nbytes(node));
        return;
    }
    for (uint32_t head = 0; head < shape_.kv_heads; head++)
        tail_runs_[head] = tail_.run(layer, head, tail_.tokens() + batch_tokens_);
    const LayerFacts& facts = layers_[layer];
    wave::AttentionCall call{};
    call.q = static_cast<const uint8_t*>(q->data);
    call.q_token_stride = q->nb[1], call.q_head_stride = q->nb[2];
    call.out = static_cast<uint8_t*>(node->data); // float [dv, query_heads, tokens]
    call.out_head_stride = node->nb[1], call.out_token_stride = node->nb[2];
    call.tokens = static_cast<int>(batch_tokens_);
    call.scale = facts.scale, call.soft_cap = facts.soft_cap;
    call.window = facts.window, call.position = batch_position_;
    call.sinks = sinks(node, layer);
    call.exact = views_.exact(layer).data(), call.exact_count = views_.exact(layer).size() / shape_.kv_heads;
    call.wave = views_.wave(layer).data(), call.wave_count = views_.wave(layer).size() / shape_.kv_heads;
    call.cache = views_.cache(), call.first_head = layer * shape_.kv_heads, call.wait = budget_.wait;
    const auto& background = views_.background(layer);
    call.background = background.data();
    call.background_count = facts.window > 0 ? 0 : background.size() / shape_.kv_heads;
    call.budget = wave_budget(), call.estimate = budget_.estimate;
    call.tail = tail_runs_.data();
    if (insight_.started() && batch_tokens_ == 1) {
        call.mass = insight_.mass(layer);
        call.records = insight_.records(layer);
        call.sample = call.wave_count > 0 && insight_.samples(layer);
    }
    call.on_device = shared_;
    const bool side_by_side = q->nb[2] == q->ne[0] * sizeof(float);
    attending_ = !(device_ && (side_by_side || !shared_) && device_->attend(call));
    if (!attending_) return;
    if (shared_) {
        bring_tail(layer, tail_.tokens() + batch_tokens_);
        call.q = on_host(q, host_q_);
        host_out_.resize(ggml_nbytes(node));
        call.out = host_out_.data();
    }
    attention_.begin(call);
}

/// By all threads, when they have attended: the last one hands over what they have come to.
void Session::end_attention(ggml_tensor* node, int threads) {
    if (!shared_ || through_attention_.fetch_add(1) + 1 < threads) return;
    through_attention_.store(0);
    ggml_backend_tensor_set(node, host_out_.data(), 0, host_out_.size());
    if (batch_tokens_ == 1) through_host_++;
}

void Session::run_attend(ggml_tensor* node, int thread, int threads, void* user) {
    const Hook& hook = *static_cast<Hook*>(user);
    Session& self = *hook.session;
    if (thread == 0) {
        try {
            self.begin_attention(node, hook.layer);
        } catch (...) { // must not cross ggml, whose other threads are waiting
            self.attention_failure_ = std::current_exception();
        }
        self.attention_ready_.store(true, std::memory_order_release);
    }
    while (!self.attention_ready_.load(std::memory_order_acquire)) sched_yield();
    if (!self.attending_ || self.attention_failure_) return;
    self.attention_.work(thread);
    self.end_attention(node, threads);
}

} // namespace repowave
