#include "cuda_attention.h"

#include <algorithm>
#include <cstring>

namespace repowave {

using cuda::kPageTokens;
using cuda::kTileClusters;
using wave::AttentionCall;

/// Slots of a tail that is kept from one text to the next.
constexpr size_t kSmallTail = 2048;

CudaAttention::CudaAttention(const CudaLibrary& library, size_t cap, const wave::KvShape& shape,
                             int query_heads)
    : shape_(shape), query_heads_(static_cast<uint32_t>(query_heads)), memory_(library, cap),
      pages_(memory_, shape.slot_bytes()), layers_(shape.layers), copies_(memory_, shape.slot_bytes()),
      pins_(std::make_shared<CudaPins>(library)), choices_(shape.kv_heads) {
    plan_.format = cuda::Format::f16;
    plan_.head_size = static_cast<int>(shape.dk);
    plan_.kv_heads = static_cast<int>(shape.kv_heads), plan_.group = static_cast<int>(group());
    if (shape.dk != shape.dv || shape.type != wave::DType::f16 || !library.workspace(&plan_))
        throw CudaProblem("there are no CUDA kernels for this model's heads");
}

void CudaAttention::change_views() {
    settle();
    for (Layer& layer : layers_) layer.ready = layer.refused = false;
}

void CudaAttention::settle() {
    if (const int error = copies_.settle(); error && failure_.empty())
        failure_ = memory_.library().error(error);
}

void CudaAttention::keep_tail(size_t tokens) {
    for (Layer& layer : layers_) {
        layer.tail_tokens = std::min(layer.tail_tokens, tokens);
        // Of a long text that has been read: clusters need the room.
        if (tokens == 0 && layer.tail_room > kSmallTail) layer.tail = {}, layer.tail_room = 0;
    }
}

bool CudaAttention::attend(const AttentionCall& call) {
    const bool pass = call.tokens > 1;
    if (!failure_.empty() || (pass && !can_pass(call))) return false;
    Layer& layer = layers_[call.first_head / shape_.kv_heads];
    // Comparing a choice with exact attention is the processor's.
    if (call.sample || layer.refused) return counters_.refused++, false;
    if (!attempt([&] { pass ? run_pass(layer, call) : run(layer, call); })) return false;
    (pass ? counters_.passes : counters_.calls)++;
    return true;
}

void CudaAttention::make_ready(Layer& layer, const AttentionCall& call) {
    pages_.begin_step();
    copies_.join();
    if (layer.ready) return;
    layer.refused = true; // until it is stored: trying again would only throw out what others use
    store(layer, call);
    layer.ready = true, layer.refused = false;
}

void CudaAttention::run(Layer& layer, const AttentionCall& call) {
    make_ready(layer, call);
    copy_tail(layer, call.tail);
    prepare(layer, call);
    choose(layer, call);
    fetch(call);
    const CudaLibrary& library = memory_.library();
    library.check(library.attend(&plan_, &step_, workspace_.as<void>(), nullptr));
    choose_ahead(layer, call);
    read_out(call);
    if (call.records || call.mass) account(call);
    read_ahead(layer, call);
}

// --- memory

Buffer CudaAttention::room(size_t bytes) {
    bytes = std::max<size_t>(bytes, 1); // of nothing, CUDA gives null
    for (;;) {
        if (void* const data = memory_.take(bytes, CudaMemory::kDevice))
            return {memory_, data, bytes, CudaMemory::kDevice};
        copies_.join(); // nothing is written any more to pages that go
        if (!drop_old(seen_) && !pages_.shrink(placings_) && !drop_old({})) throw NoDeviceRoom();
    }
}

void CudaAttention::reserve(Buffer& buffer, size_t bytes, CudaMemory::Kind kind) {
    if (buffer.bytes() >= bytes) return;
    if (kind == CudaMemory::kPinned) return reserve_pinned(memory_, buffer, bytes);
    buffer = {};
    buffer = room(bytes + bytes / 2);
}

// --- a step

/// How far the work is spread; nobody has tuned it.
static int blocks_for(size_t items, size_t each) {
    return static_cast<int>(std::clamp<size_t>((items + each - 1) / each, 1, 64));
}

void CudaAttention::prepare(const Layer& layer, const AttentionCall& call) {
    runs_ = runs(layer, call);
    plan_.tiles = layer.tile_count;
    plan_.runs = static_cast<int>(call.exact_count) + 1;
    plan_.budget = static_cast<uint32_t>(call.budget);
    plan_.estimate = call.estimate, plan_.scale = call.scale, plan_.soft_cap = call.soft_cap;
    plan_.score_blocks = plan_.estimate_blocks = blocks_for(layer.tile_count, 16);
    size_t most = 0;
    for (uint32_t head = 0; head < shape_.kv_heads; head++) {
        size_t pages = 0;
        for (int run = 0; run < plan_.runs; run++) pages += pages_for(runs_[head * plan_.runs + run].tokens);
        most = std::max(most, pages);
    }
    // All chosen clusters but the last one hold less than the budget, and each token fills a page at worst.
    const size_t chosen = std::min(layer.cluster_pages, call.budget + layer.largest_cluster);
    plan_.max_pages = static_cast<int>(most + chosen);
    plan_.exact_blocks = blocks_for(most + call.budget / kPageTokens, 64);
    const size_t heads = shape_.kv_heads, row = shape_.dk * sizeof(float);
    const size_t q = query_heads_ * row, sinks = query_heads_ * sizeof(float);
    const size_t listed_at = whole_lines(q + sinks), listed = runs_.size() * sizeof(cuda::Run);
    const size_t given = listed_at + listed;
    reserve(host_given_, given, CudaMemory::kPinned);
    reserve(given_, given, CudaMemory::kDevice);
    for (uint32_t head = 0; !call.on_device && head < query_heads_; head++)
        std::memcpy(host_given_.as<uint8_t>(head * row), call.q + head * call.q_head_stride, row);
    if (call.sinks) std::memcpy(host_given_.as<void>(q), call.sinks, sinks);
    std::memcpy(host_given_.as<void>(listed_at), runs_.data(), listed);
    const size_t from = call.on_device ? q : 0;
    copy(given_.as<void>(from), host_given_.as<void>(from), given - from);

    reserve(told_, told_bytes() + report_bytes(), CudaMemory::kDevice);
    reserve(host_told_, told_bytes() + report_bytes(), CudaMemory::kPinned);
    reserve(bits_, heads * layer.tile_count * sizeof(uint32_t), CudaMemory::kDevice);
    reserve(host_bits_, heads * layer.tile_count * sizeof(uint32_t), CudaMemory::kPinned);
    reserve(likely_, heads * layer.tile_count * sizeof(uint32_t), CudaMemory::kDevice);
    reserve(host_likely_, heads * layer.tile_count * sizeof(uint32_t), CudaMemory::kPinned);
    step_ = {};
    step_.q = call.on_device ? reinterpret_cast<const float*>(call.q) : given_.as<float>();
    step_.tiles = layer.table.as<cuda::Tile>();
    step_.sinks = call.sinks ? given_.as<float>(q) : nullptr;
    step_.runs = given_.as<cuda::Run>(listed_at);
    step_.out = call.on_device ? reinterpret_cast<float*>(call.out) : told_.as<float>();
    step_.lse = told_.as<float>(q);
    step_.coarse = call.records ? told_.as<float>(q + sinks) : nullptr;
    step_.reports = told_.as<cuda::HeadReport>(told_bytes());
    step_.bits = bits_.as<uint32_t>();
}

void CudaAttention::choose(const Layer& layer, const AttentionCall& call) {
    const CudaLibrary& library = memory_.library();
    reserve(workspace_, library.workspace(&plan_), CudaMemory::kDevice);
    library.check(library.choose(&plan_, &step_, workspace_.as<void>(), nullptr));
    const size_t tiles = shape_.kv_heads * layer.tile_count;
    copy(host_bits_.as<void>(), step_.bits, tiles * sizeof(uint32_t));
    wait();
    copies_.release();

    for (uint32_t head = 0; head < shape_.kv_heads; head++)
        list_choices(layer, call, head, host_bits_.as<uint32_t>() + head * layer.tile_count, choices_[head]);
}

void CudaAttention::list_choices(const Layer& layer, const AttentionCall& call, uint32_t head,
                                 const uint32_t* bits, std::vector<Choice>& to) const {
    to.clear();
    for (int t = 0; t < layer.tile_count; t++) {
        const uint32_t tile = head * layer.tile_count + t;
        for (uint32_t left = bits[t]; left; left &= left - 1) {
            const uint32_t c = static_cast<uint32_t>(__builtin_ctz(left));
            const auto [part, at, run, first] = layer.origins[tile];
            const uint32_t* starts = call.wave[head * call.wave_count + run].clusters.starts + first + c;
            to.push_back(
                {&part->entries[at + c], part->places + at + c, run, first + c, starts[1] - starts[0]});
        }
    }
}

/// What the next token may want (native/wave/attention.cpp, read_ahead).
void CudaAttention::choose_ahead(const Layer& layer, const AttentionCall& call) {
    ahead_ =
        layer.cluster_pages > 0 && call.cache->capacity() >= 2 * 2 * call.budget * shape_.bytes_per_token();
    if (!ahead_) return;
    cuda::Plan plan = plan_;
    cuda::Step step = step_;
    plan.budget *= 2;
    step.bits = likely_.as<uint32_t>();
    const CudaLibrary& library = memory_.library();
    library.check(library.select(&plan, &step, workspace_.as<void>(), nullptr));
    copy(host_likely_.as<void>(), step.bits, shape_.kv_heads * layer.tile_count * sizeof(uint32_t));
}

} // namespace repowave
