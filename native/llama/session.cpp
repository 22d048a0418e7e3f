#include "session.h"

#include <algorithm>
#include <ggml-backend.h>
#include <set>
#include <utility>

namespace repowave {
namespace {

wave::KvShape with_type(wave::KvShape shape, wave::DType type) {
    shape.type = type;
    return shape;
}

/// Layers whose attention tells best what an answer was read from are the later middle ones with the whole
/// context; four are enough.
constexpr size_t kEvidenceLayers = 4;

} // namespace

void Session::Deleter::operator()(ggml_threadpool* pool) const {
    reinterpret_cast<void (*)(ggml_threadpool*)>(cpu_function("ggml_threadpool_free"))(pool);
}

Session::Session(std::shared_ptr<const Model> model, const SessionParams& params)
    : model_(std::move(model)), shape_(with_type(model_->kv_shape(), params.kv_type)), batch_(params.batch),
      threads_(params.threads), packed_(params.packed), buffer_(params.buffer), tail_(shape_),
      attention_(shape_, model_->query_heads(), params.threads),
      shared_(model_->attention_device() && model_->attention_device()->is_shared()),
      host_tail_(shape_.layers), host_sinks_(shape_.layers), matmul_(model_->weight_file(), params.threads),
      views_(buffer_), tail_runs_(shape_.kv_heads), layers_(shape_.layers),
      insight_(shape_, model_->query_heads()) {
    for (uint32_t layer = 0; layer < shape_.layers; layer++)
        for (const Role role : {Role::store_keys, Role::store_values, Role::attend})
            hooks_.push_back({this, layer, role});

    llama_context_params c = llama_context_default_params();
    c.n_batch = c.n_ubatch = static_cast<uint32_t>((batch_ + 255) / 256 * 256);
    // More cells than llama.cpp gives to layers with a window: that is how those are told from the others.
    const int window = llama_model_n_swa(model_->get());
    c.n_ctx = window > 0 ? c.n_batch + static_cast<uint32_t>((window + 255) / 256 * 256) + 256 : c.n_batch;
    c.n_seq_max = 1;
    c.n_threads = c.n_threads_batch = params.threads;
    c.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_ENABLED;
    c.offload_kqv = shared_;
    c.no_perf = true;
    c.swa_full = false;
    c.cb_eval = on_node;
    c.cb_eval_user_data = this;
    c.abort_callback = [](void* user) {
        const auto* self = static_cast<Session*>(user);
        return self->cancelled_.load() || self->probed_.load();
    };
    c.abort_callback_data = this;
    // Without a pool of its own the context starts threads for every graph.
    ggml_threadpool_params pool = ggml_threadpool_params_default(params.threads);
    pool_.reset(reinterpret_cast<ggml_threadpool* (*)(ggml_threadpool_params*)>(
        cpu_function("ggml_threadpool_new"))(&pool));
    AttentionDevice* const device = model_->attention_device();
    if (device) device->set_threads(pool_.get());
    context_.reset(llama_init_from_model(model_->get(), c));
    const std::string problem = "llama.cpp cannot make a context: " + llama_error();
    if (!context_ && device) throw GpuProblem(problem);
    if (!context_) throw std::runtime_error(problem);
    cells_ = llama_n_ctx(context_.get());
    llama_attach_threadpool(context_.get(), pool_.get(), pool_.get());
    sampler_.reset(llama_sampler_init_greedy());
    reset({});
}

Session::~Session() = default;

void Session::reset(std::vector<wave::View> views) {
    look(std::move(views));
    insight_.stop();
    tail_.set_tokens(0);
}

void Session::look(std::vector<wave::View> views) {
    if (device_) device_->change_views();
    try {
        views_.set(shape_, std::move(views));
    } catch (const std::invalid_argument& error) {
        throw ModelUnsupported(error.what());
    }
    if (insight_.started()) insight_.set_views(views_);
}

void Session::truncate(size_t tokens) {
    tail_.set_tokens(std::min(tokens, tail_.tokens()));
}

llama_token Session::forward(const std::vector<llama_token>& tokens, int position, bool sample) {
    views_.load();
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
    if (device_) device_->keep_tail(tail_.tokens());
    for (size_t& tokens : host_tail_) tokens = std::min(tokens, tail_.tokens());
    batch_tokens_ = count;
    batch_position_ = position;
    sampling_ = sample;
    probed_.store(false);
    const bool insight = insight_.started() && count == 1;
    if (insight) insight_.begin_step();
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
    if (device_) device_->settle();
    llama_memory_clear(llama_get_memory(context_.get()), false);
    const bool probed = probed_.exchange(false), unread = matmul_.failed();
    if (!error_.empty()) throw ModelUnsupported(error_);
    if (attention_failure_) std::rethrow_exception(std::exchange(attention_failure_, nullptr));
    if (unread) throw ModelCorrupt("its weights can no longer be read");
    if (cancelled_.load()) throw Cancelled();
    if (status != 0 && !probed) throw std::runtime_error("llama.cpp failed: " + llama_error());
    tail_.set_tokens(tail_.tokens() + count);
    if (insight) insight_.end_step(views_);
}

size_t Session::wave_budget() const {
    const size_t least = batch_tokens_ > 1 ? budget_.pass_tokens : budget_.tokens;
    const size_t budget =
        std::max(least, static_cast<size_t>(budget_.share * static_cast<double>(views_.wave_tokens())));
    // A copy needs its source token by token: RetroInfer's known weakness (docs/method.md).
    constexpr size_t kCopyingFactor = 4;
    return insight_.started() && insight_.copying() ? kCopyingFactor * budget : budget;
}

// --- the gate

void Session::watch(const std::vector<Head>& heads) {
    watched_ = heads;
    queries_.clear();
    const uint32_t group = static_cast<uint32_t>(model_->query_heads()) / shape_.kv_heads;
    for (const Head& head : heads) queries_.push_back({head.layer, head.head / group, {}});
}

void Session::probe(const std::vector<llama_token>& tokens, int position) {
    const size_t before = tail_.tokens();
    probing_ = true;
    try {
        forward(tokens, position, false);
    } catch (...) {
        probing_ = false;
        throw;
    }
    probing_ = false;
    tail_.set_tokens(before);
}

std::vector<float> Session::head_mass(const std::vector<std::shared_ptr<const wave::Segment>>& segments) {
    std::vector<float> mass = wave::head_mass(shape_, queries_, segments, threads_);
    std::set<std::pair<uint32_t, uint32_t>> read;
    for (wave::HeadQueries& queries : queries_) {
        read.insert({queries.layer, queries.kv_head});
        queries.q.clear();
    }
    for (const auto& segment : segments) buffer_->count_read(read.size() * segment->layout().data_stride);
    return mass;
}

// --- segments and evidence

void Session::save(const std::string& path, const std::string& meta) {
    wave::SegmentSettings settings;
    settings.threads = threads_;
    settings.packed = packed_;
    settings.device = device_.get();
    for (const LayerFacts& layer : layers_) settings.without_index.push_back(layer.window > 0);
    for (uint32_t layer = 0; layer < shape_.layers; layer++) bring_tail(layer, tail_.tokens());
    save_seconds_ = wave::write_segment(path, tail_, meta, settings);
}

void Session::start_evidence() {
    std::vector<uint32_t> whole, chosen;
    for (uint32_t layer = shape_.layers / 2; layer < shape_.layers; layer++)
        if (layers_[layer].window == 0) whole.push_back(layer);
    const size_t count = std::min(kEvidenceLayers, whole.size());
    for (size_t i = 0; i < count; i++) chosen.push_back(whole[i * whole.size() / (count + 1)]);
    insight_.start(views_, chosen);
}

} // namespace repowave
