#include "attention.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <thread>

namespace wave {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
/// Rows of queries that share one unpacked tile of keys: enough to pay for the unpacking, few enough for the
/// L2 cache.
constexpr int kRows = 112;

Attention::Attention(const KvShape& shape, int query_heads, int threads)
    : shape_(shape), query_heads_(query_heads), group_(query_heads / static_cast<int>(shape.kv_heads)),
      max_rows_(std::max(1, kRows / group_) * group_), to_score_(shape.kv_heads), selected_(shape.kv_heads) {
    const size_t state = static_cast<size_t>(max_rows_) * (shape.dk + shape.dv + 2);
    thread_floats_ = (attend_scratch_floats(max_rows_, shape.dk, shape.dv) + state + 63) / 16 * 16;
    const size_t bytes = thread_floats_ * threads * sizeof(float);
    thread_memory_.reset(reinterpret_cast<float*>(aligned_bytes(bytes).release()));
    for (size_t i = 0; i < std::max<size_t>(threads, shape.kv_heads); i++) passes_.emplace_back(shape);
}

Attention::Pair Attention::pair(size_t number) const {
    const size_t block = number / shape_.kv_heads;
    const int size = max_rows_ / group_, first = static_cast<int>(block) * size;
    return {number, static_cast<int>(number % shape_.kv_heads), first,
            std::min(size, call_.tokens - first) * group_};
}

void Attention::work(int thread) {
    const size_t scores = score_chunks_ * shape_.kv_heads;
    const size_t items = scores + pairs_ * (whole_waves_ ? 1 : chunks_.size());
    for (size_t taken; (taken = next_.fetch_add(1, std::memory_order_acq_rel)) < items;) {
        if (taken < scores)
            run_score_item(taken, thread);
        else if (score_chunks_ > 0)
            run_item(taken - scores, thread);
        else // Late blocks see the most keys: taking them first evens out the end.
            run_item(items - 1 - taken, thread);
    }
}

/// Items are taken in order: whoever waits for a selection waits for scores that other threads are at.
void Attention::run_score_item(size_t item, int thread) {
    const Pair which = pair(item % shape_.kv_heads);
    const size_t chunk = item / shape_.kv_heads;
    WavePass& pass = passes_[which.head];
    gather_queries(which, queries(thread));
    pass.score({queries(thread), which.rows, call_.soft_cap}, chunk * kChunkKeys,
               std::min(pass.clusters(), (chunk + 1) * kChunkKeys), scratch(thread));
    if (to_score_[which.head].fetch_sub(1, std::memory_order_acq_rel) != 1) return;
    select(which, pass, thread);
    selected_[which.head].store(true, std::memory_order_release);
    read_ahead(which, pass);
}

void Attention::select(const Pair& which, WavePass& pass, int thread) {
    const Retrieval from{call_.cache, call_.first_head + static_cast<uint32_t>(which.head), call_.wait};
    pass.select(call_.budget, from, scratch(thread));
    if (!call_.records || !call_.sample) return;
    HeadRecord& record = call_.records[which.head];
    const auto sample =
        pass.sample({queries(thread), which.rows, call_.soft_cap}, from.head, scratch(thread));
    record.sampled = sample.has_value();
    if (sample) record.sample = *sample;
}

/// What was ranked right below the chosen is what the next token may want and not find in memory: the chosen
/// themselves are there still. Decoding behind 50,000 visible tokens with room for a quarter of them, budgets
/// of this size left 88 misses a token of 204 (one and a half times: 120; three times: 59, and twice as many
/// read in vain).
void Attention::read_ahead(const Pair& which, WavePass& pass) {
    const size_t budget = 2 * call_.budget;
    // A cache that hardly holds what a token wants would lose it to what is read ahead.
    if (call_.cache->capacity() < 2 * budget * shape_.bytes_per_token()) return;
    const std::vector<ClusterRef>& likely = pass.likely(budget);
    call_.cache->prefetch(call_.first_head + static_cast<uint32_t>(which.head), likely.data(), likely.size());
}

void Attention::run_item(size_t item, int thread) {
    if (whole_waves_) {
        const Pair which = pair(item);
        WavePass& pass = passes_[thread];
        gather_queries(which, queries(thread));
        pass.begin(call_.wave + which.head * call_.wave_count, call_.wave_count, which.rows);
        pass.score({queries(thread), which.rows, call_.soft_cap}, 0, pass.clusters(), scratch(thread));
        select(which, pass, thread);
        clear(local(thread), which.rows);
        for (const Chunk& chunk : chunks_) run_chunk(which, chunk, &pass, local(thread), thread);
        return finish(which, &pass, local(thread));
    }
    // With a selection to wait for, all heads' steady chunks come first.
    const bool waits = score_chunks_ > 0;
    const size_t number = waits ? item % pairs_ : item / chunks_.size();
    const size_t chunk = waits ? item / pairs_ : item % chunks_.size();
    const Pair which = pair(number);
    WavePass* pass = waits ? &passes_[which.head] : nullptr;
    gather_queries(which, queries(thread));
    const Partial to = chunks_.size() == 1 ? local(thread) : partial(number, chunk);
    clear(to, which.rows);
    run_chunk(which, chunks_[chunk], pass, to, thread);
    if (left_[number].fetch_sub(1, std::memory_order_acq_rel) != 1) return;
    if (chunks_.size() > 1) merge(which, local(thread));
    finish(which, pass, local(thread));
}

void Attention::run_chunk(const Pair& which, const Chunk& chunk, WavePass* pass, const Partial& to,
                          int thread) {
    AttendBlock block{};
    block.q = queries(thread), block.rows = which.rows;
    block.dk = static_cast<int>(shape_.dk), block.dv = static_cast<int>(shape_.dv), block.type = shape_.type;
    block.k_stride = block.v_stride = shape_.slot_elements();
    block.group = group_, block.soft_cap = call_.soft_cap, block.first_key = kNoWindow;
    block.m = to.m, block.l = to.l, block.o = to.o, block.scratch = scratch(thread);
    if (chunk.zone == kSteady) return attend_pieces(which, chunk, block);
    if (chunk.zone == kCoarse) return attend_background(which, chunk, block);
    if (!whole_waves_)
        while (!selected_[which.head].load(std::memory_order_acquire)) std::this_thread::yield();
    if (chunk.zone == kEstimated)
        return pass->estimate(chunk.begin, std::min(chunk.end, pass->clusters()), which.rows, to.m, to.l,
                              to.o, scratch(thread));
    if (call_.mass) {
        block.logits = retrieved_logits_.data() + static_cast<size_t>(which.head) * group_ * wave_tokens_;
        block.logits_stride = wave_tokens_;
    }
    pass->attend_retrieved(chunk.begin, chunk.end, block);
}

void Attention::attend_pieces(const Pair& which, const Chunk& chunk, AttendBlock& block) {
    block.logits_stride = steady_tokens_;
    for (size_t i = chunk.begin; i < chunk.end; i++) {
        const Piece& piece = pieces_[i];
        const bool tail = piece.run == call_.exact_count;
        const KvRun& run =
            tail ? call_.tail[which.head] : call_.exact[which.head * call_.exact_count + piece.run];
        if (run.bias == -kInfinity) continue; // not even an infinite or undefined number of it may count
        const uint8_t* slots = run.slots + piece.begin * shape_.slot_bytes();
        block.k = slots, block.v = slots + shape_.key_bytes();
        block.keys = static_cast<int>(piece.count);
        block.bias = run.bias;
        // Token t of the block is the tail's token (tail tokens - call tokens + t) and sees itself.
        const int64_t edge = static_cast<int64_t>(run.tokens) - call_.tokens + which.first_token + 1 -
                             static_cast<int64_t>(piece.begin);
        block.first_visible = tail ? static_cast<int>(edge) : block.keys + which.rows;
        if (call_.window > 0) {
            // Where the piece begins, counted from the block's first token.
            const int64_t at =
                tail ? 1 - edge
                     : run.position + static_cast<int64_t>(piece.begin) - call_.position - which.first_token;
            block.first_key = static_cast<int>(std::max<int64_t>(kNoWindow, 1 - call_.window - at));
        }
        if (block.first_visible + (which.rows - 1) / group_ <= 0 || block.first_key >= block.keys) continue;
        if (call_.mass)
            block.logits =
                logits_.data() + static_cast<size_t>(which.head) * group_ * steady_tokens_ + piece.offset;
        kernels().attend(block);
    }
}

void Attention::attend_background(const Pair& which, const Chunk& chunk, AttendBlock& block) {
    size_t first = 0;
    block.k_stride = shape_.dk, block.v_stride = shape_.dv;
    for (size_t i = 0; i < call_.background_count; i++) {
        const CoarseRun& run = background(which.head)[i];
        const Summaries& summaries = run.summaries;
        if (run.bias == -kInfinity) continue; // as above
        const size_t begin = std::max(chunk.begin, first), end = std::min(chunk.end, first + summaries.count);
        const size_t at = begin - first;
        first += summaries.count;
        if (begin >= end) continue;
        block.k = static_cast<const uint8_t*>(summaries.keys) + at * shape_.key_bytes();
        block.v = static_cast<const uint8_t*>(summaries.values) + at * shape_.value_bytes();
        block.keys = block.first_visible = static_cast<int>(end - begin);
        block.biases = summaries.log_sizes + at;
        block.bias = run.bias;
        kernels().attend(block);
    }
}

// --- results

/// Log-sum-exp, in the order of the chunks.
void Attention::merge(const Pair& which, const Partial& to) const {
    clear(to, which.rows);
    for (size_t c = 0; c < chunks_.size(); c++)
        for (int r = 0; r < which.rows; r++) to.m[r] = std::max(to.m[r], partial(which.number, c).m[r]);
    for (size_t c = 0; c < chunks_.size(); c++) {
        const Partial part = partial(which.number, c);
        for (int r = 0; r < which.rows; r++) {
            if (part.l[r] <= 0) continue;
            const float factor = std::exp(part.m[r] - to.m[r]);
            to.l[r] += factor * part.l[r];
            for (uint32_t d = 0; d < shape_.dv; d++)
                to.o[r * shape_.dv + d] += factor * part.o[r * shape_.dv + d];
        }
    }
}

void Attention::add_sinks(const Pair& which, const Partial& state) const {
    for (int r = 0; r < which.rows; r++) {
        const float sink = call_.sinks[which.head * group_ + r % group_];
        const float m = std::max(state.m[r], sink), factor = std::exp(state.m[r] - m);
        state.l[r] = state.l[r] * factor + std::exp(sink - m);
        for (uint32_t d = 0; d < shape_.dv; d++) state.o[r * shape_.dv + d] *= factor;
        state.m[r] = m;
    }
}

void Attention::finish(const Pair& which, WavePass* pass, const Partial& state) {
    if (call_.sinks) add_sinks(which, state);
    for (int r = 0; r < which.rows; r++) {
        uint8_t* to = call_.out + (which.first_token + r / group_) * call_.out_token_stride +
                      (which.head * group_ + r % group_) * call_.out_head_stride;
        for (uint32_t d = 0; d < shape_.dv; d++)
            reinterpret_cast<float*>(to)[d] = state.o[r * shape_.dv + d] / state.l[r];
    }
    if (call_.records) record(which, pass, state);
    if (call_.mass) add_mass(which, pass, state);
    if (pass) pass->end();
}

/// The chunks tell the zones apart. With a single chunk all is steady, and so are sinks.
void Attention::record(const Pair& which, const WavePass* pass, const Partial& state) const {
    HeadRecord& record = call_.records[which.head];
    std::fill_n(record.zones, static_cast<int>(kZones), 0.0f);
    for (size_t c = 0; c < chunks_.size(); c++)
        for (int r = 0; r < which.rows; r++) {
            const Partial part = chunks_.size() == 1 ? state : partial(which.number, c);
            if (part.l[r] > 0)
                record.zones[chunks_[c].zone] +=
                    std::exp(part.m[r] - state.m[r]) * part.l[r] / state.l[r] / which.rows;
        }
    if (call_.sinks && chunks_.size() > 1)
        for (int r = 0; r < which.rows; r++)
            record.zones[kSteady] +=
                std::exp(call_.sinks[which.head * group_ + r] - state.m[r]) / state.l[r] / which.rows;
    record.retrieved_clusters = pass ? static_cast<uint32_t>(pass->retrieved_clusters()) : 0;
    record.late_clusters = pass ? static_cast<uint32_t>(pass->late_clusters()) : 0;
    record.retrieved_tokens = pass ? static_cast<uint32_t>(pass->retrieved_tokens()) : 0;
    const size_t clusters = pass ? pass->clusters() : 0;
    record.bytes = (steady_tokens_ + record.retrieved_tokens + background_clusters(which.head)) *
                       (shape_.key_bytes() + shape_.value_bytes()) +
                   clusters * (shape_.key_bytes() + (call_.estimate ? shape_.value_bytes() : 0));
}

void Attention::add_mass(const Pair& which, WavePass* pass, const Partial& state) {
    float* mass = call_.mass + which.head * (exact_tokens_ + wave_tokens_);
    for (int r = 0; r < which.rows; r++) {
        const size_t row = which.head * group_ + r;
        kernels().add_mass(logits_.data() + row * steady_tokens_, nullptr, state.m[r], state.l[r], mass,
                           exact_tokens_);
        if (pass)
            pass->add_retrieved_mass(retrieved_logits_.data() + row * wave_tokens_, state.m[r], state.l[r],
                                     mass + exact_tokens_);
    }
}

// --- memory

void Attention::gather_queries(const Pair& which, float* q) const {
    for (int r = 0; r < which.rows; r++) {
        const float* from =
            reinterpret_cast<const float*>(call_.q + (which.first_token + r / group_) * call_.q_token_stride +
                                           (which.head * group_ + r % group_) * call_.q_head_stride);
        for (uint32_t d = 0; d < shape_.dk; d++) q[r * shape_.dk + d] = from[d] * call_.scale;
    }
}

void Attention::clear(const Partial& state, int rows) const {
    std::fill_n(state.m, rows, -kInfinity);
    std::fill_n(state.l, rows, 0.0f);
    std::fill_n(state.o, static_cast<size_t>(rows) * shape_.dv, 0.0f);
}

Attention::Partial Attention::partial(size_t pair, size_t chunk) const {
    float* base = const_cast<float*>(partials_.data()) +
                  (pair * chunks_.size() + chunk) * partial_rows_ * (shape_.dv + 2);
    return {base, base + partial_rows_, base + 2 * partial_rows_};
}

Attention::Partial Attention::local(int thread) const {
    float* base = queries(thread) + static_cast<size_t>(max_rows_) * shape_.dk;
    return {base + static_cast<size_t>(max_rows_) * shape_.dv,
            base + static_cast<size_t>(max_rows_) * shape_.dv + max_rows_, base};
}

} // namespace wave
