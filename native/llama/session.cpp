#include "session.h"

#include <algorithm>
#include <cstring>
#include <ggml-backend.h>
#include <ggml.h>
#include <sched.h>
#include <utility>

namespace repowave {
namespace {

/// Functions of ggml's CPU backend are only to be had by name: it is a plug-in.
template <class F> F cpu_function(const char* name) {
    ggml_backend_dev_t device = ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
    if (!device) throw std::runtime_error("ggml has no CPU backend for this processor");
    auto* found =
        reinterpret_cast<F>(ggml_backend_reg_get_proc_address(ggml_backend_dev_backend_reg(device), name));
    if (!found) throw std::runtime_error(std::string("ggml's CPU backend lacks ") + name);
    return found;
}

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

/// Layers whose attention tells best what an answer was read from are the later middle ones; four are enough.
std::vector<uint32_t> choose_evidence_layers(uint32_t layers) {
    std::vector<uint32_t> chosen;
    for (uint32_t i = 0; i < 4; i++) chosen.push_back(layers / 2 + i * (layers - layers / 2) / 5);
    chosen.erase(std::unique(chosen.begin(), chosen.end()), chosen.end());
    return chosen;
}

wave::KvShape with_type(wave::KvShape shape, wave::DType type) {
    shape.type = type;
    return shape;
}

} // namespace

void Session::Deleter::operator()(ggml_threadpool* pool) const {
    cpu_function<void (*)(ggml_threadpool*)>("ggml_threadpool_free")(pool);
}

Session::Session(std::shared_ptr<const Model> model, const SessionParams& params)
    : model_(std::move(model)), shape_(with_type(model_->kv_shape(), params.kv_type)), batch_(params.batch),
      tail_(shape_), attention_(shape_, model_->query_heads(), params.threads), tail_runs_(shape_.kv_heads),
      scales_(shape_.layers), evidence_layers_(choose_evidence_layers(shape_.layers)) {
    for (uint32_t layer = 0; layer < shape_.layers; layer++)
        for (const Role role : {Role::store_keys, Role::store_values, Role::attend})
            hooks_.push_back({this, layer, role});

    llama_context_params c = llama_context_default_params();
    c.n_ctx = c.n_batch = c.n_ubatch = static_cast<uint32_t>((batch_ + 255) / 256 * 256);
    c.n_seq_max = 1;
    c.n_threads = c.n_threads_batch = params.threads;
    c.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_ENABLED;
    c.offload_kqv = false;
    c.no_perf = true;
    c.cb_eval = on_node;
    c.cb_eval_user_data = this;
    c.abort_callback = [](void* session) { return static_cast<Session*>(session)->cancelled_.load(); };
    c.abort_callback_data = this;
    context_.reset(llama_init_from_model(model_->get(), c));
    if (!context_) throw std::runtime_error("llama.cpp cannot make a context: " + llama_error());

    // Without a pool of its own the context starts threads for every graph.
    ggml_threadpool_params pool = ggml_threadpool_params_default(params.threads);
    pool_.reset(cpu_function<ggml_threadpool* (*)(ggml_threadpool_params*)>("ggml_threadpool_new")(&pool));
    llama_attach_threadpool(context_.get(), pool_.get(), pool_.get());
    sampler_.reset(llama_sampler_init_greedy());
    reset({});
}

Session::~Session() = default;

void Session::reset(std::vector<View> views) {
    for (const View& view : views)
        if (view.segment->shape() != shape_)
            throw ModelUnsupported("a stored segment belongs to another model");
    views_ = std::move(views);
    view_runs_.clear();
    for (uint32_t layer = 0; layer < shape_.layers; layer++)
        for (uint32_t head = 0; head < shape_.kv_heads; head++)
            for (const View& view : views_) view_runs_.push_back(view.segment->run(layer, head, view.bias));
    view_tokens_ = 0;
    for (const View& view : views_) view_tokens_ += view.segment->tokens();
    tail_.set_tokens(0);
    evidence_.clear();
}

void Session::truncate(size_t tokens) {
    tail_.set_tokens(std::min(tokens, tail_.tokens()));
}

llama_token Session::forward(const std::vector<llama_token>& tokens, int position, bool sample) {
    const size_t before = tail_.tokens();
    try {
        for (size_t i = 0; i < tokens.size(); i += batch_) {
            const int count = static_cast<int>(std::min<size_t>(batch_, tokens.size() - i));
            run_batch(tokens.data() + i, count, position + static_cast<int>(i),
                      sample && i + count == tokens.size());
        }
    } catch (...) {
        tail_.set_tokens(before);
        throw;
    }
    if (!sample) return -1;
    const float* logits = llama_get_logits_ith(context_.get(), -1);
    logits_.assign(logits, logits + llama_vocab_n_tokens(model_->vocab()));
    return llama_sampler_sample(sampler_.get(), context_.get(), -1);
}

void Session::run_batch(const llama_token* tokens, int count, int position, bool sample) {
    tail_.reserve(tail_.tokens() + count);
    batch_tokens_ = count;
    llama_batch batch = llama_batch_init(count, 0, 1);
    batch.n_tokens = count;
    for (int i = 0; i < count; i++) {
        batch.token[i] = tokens[i];
        batch.pos[i] = position + i;
        batch.n_seq_id[i] = 1;
        batch.seq_id[i][0] = 0;
        batch.logits[i] = sample && i + 1 == count;
    }
    const int status = llama_decode(context_.get(), batch);
    llama_batch_free(batch);
    llama_memory_clear(llama_get_memory(context_.get()), false);
    if (!error_.empty()) throw ModelUnsupported(error_);
    if (attention_failure_) std::rethrow_exception(std::exchange(attention_failure_, nullptr));
    if (cancelled_.load()) throw Cancelled();
    if (status != 0) throw std::runtime_error("llama.cpp failed: " + llama_error());
    tail_.set_tokens(tail_.tokens() + count);
}

// --- the nodes of the graph

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
    }
    return false;
}

const char* Session::unsupported(const ggml_tensor* node, uint32_t layer) const {
    float params[3]; // scale, ALiBi's max_bias, soft cap
    std::memcpy(params, node->op_params, sizeof params);
    if (params[1] != 0.0f) return "ALiBi position biases";
    if (params[2] != 0.0f) return "soft-capped attention logits";
    if (node->src[4]) return "attention sinks";
    if (layer_of(root(node->src[2])->name, "cache_v_l") != static_cast<int>(layer))
        return "latent (MLA) attention";
    if (node->src[0]->ne[0] != shape_.dk || node->src[2]->ne[0] != shape_.dv ||
        node->src[1]->ne[2] != shape_.kv_heads || node->src[0]->ne[2] != model_->query_heads())
        return "layers of different shapes";
    return nullptr;
}

void Session::rewrite(ggml_tensor* node, uint32_t layer, Role role) {
    if (role == Role::attend) std::memcpy(&scales_[layer], node->op_params, sizeof(float));
    // A throw-away custom node tells how ggml keeps the function of one.
    ggml_context* scratch = ggml_init({ggml_tensor_overhead(), nullptr, true});
    ggml_tensor* custom = ggml_custom_4d(scratch, GGML_TYPE_F32, 1, 1, 1, 1, nullptr, 0,
                                         role == Role::attend ? run_attend : run_store, GGML_N_TASKS_MAX,
                                         &hooks_[layer * 3 + static_cast<size_t>(role)]);
    node->op = custom->op;
    std::memcpy(node->op_params, custom->op_params, sizeof node->op_params);
    ggml_free(scratch);
}

/// Every thread of the pool comes here; each writes its share of the heads.
void Session::run_store(ggml_tensor* node, int thread, int threads, void* user) {
    const Hook& hook = *static_cast<Hook*>(user);
    Session& self = *hook.session;
    const ggml_tensor* rows = node->src[0]; // float [kv_heads * d, tokens]
    const auto* data = static_cast<const uint8_t*>(rows->data);
    const size_t at = self.tail_.tokens(), n = self.batch_tokens_;
    for (uint32_t head = thread; head < self.shape_.kv_heads; head += threads) {
        if (hook.role == Role::store_keys)
            self.tail_.write_keys(hook.layer, head, at, n, data, rows->nb[1]);
        else
            self.tail_.write_values(hook.layer, head, at, n, data, rows->nb[1]);
    }
    self.attention_ready_.store(false, std::memory_order_relaxed);
}

void Session::begin_attention(const ggml_tensor* node, uint32_t layer) {
    const ggml_tensor* q = node->src[0]; // float [dk, tokens, query_heads]
    for (uint32_t head = 0; head < shape_.kv_heads; head++)
        tail_runs_[head] = tail_.run(layer, head, tail_.tokens() + batch_tokens_);
    wave::AttentionCall call{};
    call.q = static_cast<const uint8_t*>(q->data);
    call.q_token_stride = q->nb[1], call.q_head_stride = q->nb[2];
    call.out = static_cast<uint8_t*>(node->data); // float [dv, query_heads, tokens]
    call.out_head_stride = node->nb[1], call.out_token_stride = node->nb[2];
    call.tokens = static_cast<int>(batch_tokens_);
    call.scale = scales_[layer];
    call.views = view_runs_.data() + static_cast<size_t>(layer) * shape_.kv_heads * views_.size();
    call.view_count = views_.size();
    call.tail = tail_runs_.data();
    const bool evidence =
        !evidence_.empty() && batch_tokens_ == 1 &&
        std::find(evidence_layers_.begin(), evidence_layers_.end(), layer) != evidence_layers_.end();
    call.mass = evidence ? evidence_.data() : nullptr;
    if (evidence && layer == evidence_layers_.back()) evidence_steps_++;
    attention_.begin(call);
}

void Session::run_attend(ggml_tensor* node, int thread, int, void* user) {
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
    if (!self.attention_failure_) self.attention_.work(thread);
}

// --- evidence

void Session::start_evidence() {
    evidence_.assign(shape_.kv_heads * view_tokens_, 0.0f);
    evidence_steps_ = 0;
}

std::vector<std::vector<float>> Session::take_evidence() {
    std::vector<std::vector<float>> result;
    const float unit = static_cast<float>(std::max<size_t>(1, evidence_steps_) * evidence_layers_.size() *
                                          static_cast<size_t>(model_->query_heads()));
    size_t at = 0;
    for (const View& view : views_) {
        std::vector<float>& mass = result.emplace_back(view.segment->tokens());
        if (!evidence_.empty())
            for (size_t i = 0; i < mass.size(); i++)
                for (uint32_t head = 0; head < shape_.kv_heads; head++)
                    mass[i] += evidence_[head * view_tokens_ + at + i] / unit;
        at += mass.size();
    }
    evidence_.clear();
    return result;
}

} // namespace repowave
