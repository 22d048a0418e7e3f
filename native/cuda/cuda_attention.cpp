#include "cuda_attention.h"

#include <algorithm>
#include <cstring>

namespace repowave {

using cuda::kPageTokens;
using cuda::kTileClusters;
using wave::AttentionCall;

CudaAttention::CudaAttention(const CudaLibrary& library, size_t cap, const wave::KvShape& shape,
                             int query_heads)
    : shape_(shape), query_heads_(static_cast<uint32_t>(query_heads)), memory_(library, cap),
      pages_(memory_, shape.slot_bytes()), layers_(shape.layers), choices_(shape.kv_heads) {
    plan_.format = cuda::Format::f16;
    plan_.head_size = static_cast<int>(shape.dk);
    plan_.kv_heads = static_cast<int>(shape.kv_heads), plan_.group = static_cast<int>(group());
    if (shape.dk != shape.dv || shape.type != wave::DType::f16 || !library.workspace(&plan_))
        throw CudaProblem("there are no CUDA kernels for this model's heads");
}

void CudaAttention::forget() {
    pages_.clear();
    moves_.clear();
    for (Layer& layer : layers_) {
        layer.ready = layer.refused = false;
        layer.stored = {};
    }
}

void CudaAttention::keep_tail(size_t tokens) {
    for (Layer& layer : layers_) layer.tail_tokens = std::min(layer.tail_tokens, tokens);
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
    fetch(layer, call);
    const CudaLibrary& library = memory_.library();
    library.check(library.attend(&plan_, &step_, workspace_.as<void>(), nullptr));
    read_out(layer, call);
    if (call.records || call.mass) account(layer, call);
}

// --- memory

Buffer CudaAttention::room(size_t bytes) {
    for (;;) {
        if (void* const data = memory_.take(bytes, CudaMemory::kDevice))
            return {memory_, data, bytes, CudaMemory::kDevice};
        if (!pages_.shrink(moves_)) throw NoDeviceRoom();
    }
}

void CudaAttention::reserve(Buffer& buffer, size_t bytes, CudaMemory::Kind kind) {
    if (buffer.bytes() >= bytes) return;
    const size_t more = bytes + bytes / 2;
    if (kind == CudaMemory::kDevice) {
        buffer = {};
        buffer = room(more);
        return;
    }
    void* const data = memory_.take(more, kind);
    if (!data) throw CudaProblem("the host has no memory to pin");
    buffer = {memory_, data, more, kind};
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
    const size_t listed = runs_.size() * sizeof(cuda::Run);
    reserve(host_given_, q + sinks + listed, CudaMemory::kPinned);
    reserve(given_, q + sinks + listed, CudaMemory::kDevice);
    for (uint32_t head = 0; !call.on_device && head < query_heads_; head++)
        std::memcpy(host_given_.as<uint8_t>(head * row), call.q + head * call.q_head_stride, row);
    if (call.sinks) std::memcpy(host_given_.as<void>(q), call.sinks, sinks);
    std::memcpy(host_given_.as<void>(q + sinks), runs_.data(), listed);
    const size_t from = call.on_device ? q : 0;
    copy(given_.as<void>(from), host_given_.as<void>(from), q + sinks + listed - from);

    reserve(told_, told_bytes() + heads * sizeof(cuda::HeadReport), CudaMemory::kDevice);
    reserve(host_told_, told_bytes(), CudaMemory::kPinned);
    reserve(bits_, heads * layer.tile_count * sizeof(uint32_t), CudaMemory::kDevice);
    reserve(host_bits_, heads * layer.tile_count * sizeof(uint32_t), CudaMemory::kPinned);
    step_ = {};
    step_.q = call.on_device ? reinterpret_cast<const float*>(call.q) : given_.as<float>();
    step_.tiles = layer.tiles;
    step_.sinks = call.sinks ? given_.as<float>(q) : nullptr;
    step_.runs = given_.as<cuda::Run>(q + sinks);
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

    for (uint32_t head = 0; head < shape_.kv_heads; head++) {
        choices_[head].clear();
        for (int t = 0; t < layer.tile_count; t++) {
            const uint32_t tile = head * layer.tile_count + t;
            for (uint32_t bits = host_bits_.as<uint32_t>()[tile]; bits; bits &= bits - 1) {
                const uint32_t c = static_cast<uint32_t>(__builtin_ctz(bits));
                const auto [run, first] = layer.origins[tile];
                const uint32_t* starts = call.wave[head * call.wave_count + run].clusters.starts + first + c;
                choices_[head].push_back({tile * kTileClusters + c, run, first + c, starts[1] - starts[0]});
            }
        }
    }
}

void CudaAttention::fetch(Layer& layer, const AttentionCall& call) {
    const size_t pages = static_cast<size_t>(shape_.kv_heads) * plan_.max_pages;
    reserve(list_, pages * sizeof(cuda::Run), CudaMemory::kDevice);
    step_.pages = list_.as<cuda::Run>();
    if (call.mass || call.records) {
        reserve(mass_, pages * kPageTokens * sizeof(float), CudaMemory::kDevice);
        reserve(host_mass_, pages * kPageTokens * sizeof(float), CudaMemory::kPinned);
        step_.mass = mass_.as<float>();
    }
    std::vector<const Choice*> missing;
    size_t bytes = 0;
    for (const auto& choices : choices_)
        for (const Choice& choice : choices)
            if (layer.entries[choice.at] == ClusterPages::kAbsent)
                bytes += choice.tokens * shape_.slot_bytes();
            else
                pages_.use(layer.entries[choice.at]), counters_.hits++;
    reserve(staging_, bytes, CudaMemory::kPinned);
    staged_ = 0;
    bool room = true;
    for (uint32_t head = 0; head < shape_.kv_heads; head++) {
        missing.clear();
        for (const Choice& choice : choices_[head])
            if (layer.entries[choice.at] == ClusterPages::kAbsent) missing.push_back(&choice);
        if (!missing.empty()) fetch_head(layer, call, head, missing, room);
    }
    move_clusters();
    counters_.evicted = pages_.evicted();
    if (room) return;
    wait(); // for what is staged
    throw NoDeviceRoom();
}

void CudaAttention::fetch_head(Layer& layer, const AttentionCall& call, uint32_t head,
                               const std::vector<const Choice*>& missing, bool& room) {
    std::vector<wave::ClusterRef> wanted;
    for (const Choice* choice : missing)
        wanted.push_back({call.wave[head * call.wave_count + choice->run].number, choice->cluster});
    const wave::BlockCache::Step step(*call.cache);
    const uint8_t* const rows = call.cache->rows();
    call.cache->acquire(step, call.first_head + head, wanted.data(), wanted.size(), call.wait, acquired_);
    counters_.misses += missing.size();
    size_t row = 0;
    auto late = acquired_.missing.begin();
    for (size_t i = 0; i < missing.size(); i++) {
        if (late != acquired_.missing.end() && *late == i) {
            late++;
            continue;
        }
        const Choice& choice = *missing[i];
        const size_t first = row;
        row += choice.tokens;
        cuda::Place* const place = layer.places + choice.at;
        uint32_t* const entry = &layer.entries[choice.at];
        if (!pages_.admit(choice.tokens, {entry, place}, moves_)) {
            room = false;
            continue;
        }
        auto* const to = staging_.as<uint8_t>(staged_);
        for (uint32_t t = 0; t < choice.tokens; t++)
            std::memcpy(to + t * shape_.slot_bytes(), rows + acquired_.rows[first + t] * shape_.slot_bytes(),
                        shape_.slot_bytes());
        staged_ += choice.tokens * shape_.slot_bytes();
        moves_.push_back({to, pages_.address(*entry), place});
    }
}

/// The mapping table on the device, and the pages, are as the host's entries tell afterwards.
void CudaAttention::move_clusters() {
    if (moves_.empty()) return;
    const size_t bytes = moves_.size() * sizeof(cuda::Move);
    reserve(host_moves_, bytes, CudaMemory::kPinned);
    std::memcpy(host_moves_.as<void>(), moves_.data(), bytes);
    const CudaLibrary& library = memory_.library();
    library.check(library.move(host_moves_.as<cuda::Move>(), static_cast<int>(moves_.size()),
                               static_cast<int>(shape_.slot_bytes()), nullptr));
    moves_.clear();
}

} // namespace repowave
