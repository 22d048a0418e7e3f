#include "attention.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace wave {

/// Rows of queries that share one unpacked tile of keys: enough to pay for the unpacking, few enough for the
/// L2 cache.
constexpr int kRows = 112;
/// Keys of one item, at least, when a short block of tokens alone would not keep all threads busy. Nothing
/// here depends on the number of threads, so that the result does not either.
constexpr size_t kChunkKeys = 1024;
/// About this many items are enough for any number of threads; more would only cost memory for partial
/// results.
constexpr size_t kMostItems = 512;
/// From this many (block, head) pairs on there is enough to share out without splitting the keys.
constexpr size_t kEnoughItems = 64;

Attention::Attention(const KvShape& shape, int query_heads, int threads)
    : shape_(shape), query_heads_(query_heads), group_(query_heads / static_cast<int>(shape.kv_heads)),
      max_rows_(std::max(1, kRows / group_) * group_) {
    const size_t state = static_cast<size_t>(max_rows_) * (shape.dk + shape.dv + 2);
    thread_floats_ = (attend_scratch_floats(max_rows_, shape.dk, shape.dv) + state + 63) / 16 * 16;
    const size_t bytes = thread_floats_ * threads * sizeof(float);
    thread_memory_.reset(reinterpret_cast<float*>(aligned_bytes(bytes).release()));
}

int Attention::block_tokens(size_t block) const {
    const int size = max_rows_ / group_;
    return std::min(size, call_.tokens - static_cast<int>(block) * size);
}

/// Cuts all runs into pieces of at most a chunk's keys and gathers pieces into chunks of about that many.
void Attention::split(const AttentionCall& call) {
    const size_t pairs = blocks_ * shape_.kv_heads;
    const bool whole = pairs >= kEnoughItems;
    size_t total = call.tail[0].tokens;
    for (size_t run = 0; run < call.view_count; run++) total += call.views[run].tokens;
    const size_t chunk_keys = std::max(kChunkKeys, total * pairs / kMostItems / kTileKeys * kTileKeys);
    pieces_.clear();
    chunks_.assign(1, 0);
    size_t in_chunk = 0, offset = 0;
    for (uint32_t run = 0; run <= call.view_count; run++) {
        const size_t tokens = run < call.view_count ? call.views[run].tokens : call.tail[0].tokens;
        for (size_t begin = 0; begin < tokens;) {
            const size_t n = whole ? tokens - begin : std::min(chunk_keys, tokens - begin);
            if (!whole && in_chunk && in_chunk + n > chunk_keys) {
                chunks_.push_back(pieces_.size());
                in_chunk = 0;
            }
            pieces_.push_back({run, begin, n, offset + begin});
            in_chunk += n;
            begin += n;
        }
        offset += tokens;
        if (run + 1 == call.view_count) view_tokens_ = offset;
    }
    chunks_.push_back(pieces_.size());
    total_tokens_ = offset;
    chunk_count_ = chunks_.size() - 1;
}

void Attention::begin(const AttentionCall& call) {
    call_ = call;
    const int size = max_rows_ / group_;
    blocks_ = (call.tokens + size - 1) / size;
    view_tokens_ = 0;
    split(call);
    const size_t pairs = blocks_ * shape_.kv_heads;
    if (left_.size() < pairs) left_ = std::vector<std::atomic<uint32_t>>(pairs);
    for (size_t i = 0; i < pairs; i++)
        left_[i].store(static_cast<uint32_t>(chunk_count_), std::memory_order_relaxed);
    partial_rows_ = std::min(max_rows_, call.tokens * group_);
    const size_t floats = pairs * chunk_count_ * partial_rows_ * (shape_.dv + 2);
    if (chunk_count_ > 1 && partials_.size() < floats) partials_.resize(floats);
    if (call.mass && logits_.size() < static_cast<size_t>(query_heads_) * total_tokens_)
        logits_.resize(static_cast<size_t>(query_heads_) * total_tokens_);
    next_.store(0, std::memory_order_release);
}

void Attention::work(int thread) {
    const size_t items = blocks_ * shape_.kv_heads * chunk_count_;
    // Late blocks see the most keys: taking them first evens out the end.
    for (size_t taken; (taken = next_.fetch_add(1, std::memory_order_acq_rel)) < items;)
        run_item(items - 1 - taken, thread);
}

Attention::Partial Attention::partial(size_t item) const {
    float* base = const_cast<float*>(partials_.data()) + item * partial_rows_ * (shape_.dv + 2);
    return {base, base + partial_rows_, base + 2 * partial_rows_};
}

void Attention::run_item(size_t item, int thread) {
    const size_t chunk = item % chunk_count_, pair = item / chunk_count_;
    const size_t block = pair / shape_.kv_heads;
    const int head = static_cast<int>(pair % shape_.kv_heads);
    const int first_token = static_cast<int>(block) * (max_rows_ / group_),
              rows = block_tokens(block) * group_;

    float* own = thread_buffer(thread) + attend_scratch_floats(max_rows_, shape_.dk, shape_.dv) +
                 static_cast<size_t>(max_rows_) * shape_.dk;
    const Partial local{own + static_cast<size_t>(max_rows_) * shape_.dv,
                        own + static_cast<size_t>(max_rows_) * shape_.dv + max_rows_, own};
    attend_pieces(head, first_token, rows, chunk, chunk_count_ == 1 ? local : partial(item), thread);
    if (left_[pair].fetch_sub(1, std::memory_order_acq_rel) != 1) return;

    if (chunk_count_ > 1) { // log-sum-exp merge, in the order of the keys
        std::fill_n(local.m, rows, -std::numeric_limits<float>::infinity());
        for (size_t c = 0; c < chunk_count_; c++) {
            const Partial part = partial(pair * chunk_count_ + c);
            for (int r = 0; r < rows; r++) local.m[r] = std::max(local.m[r], part.m[r]);
        }
        std::fill_n(local.l, rows, 0.0f);
        std::fill_n(local.o, static_cast<size_t>(rows) * shape_.dv, 0.0f);
        for (size_t c = 0; c < chunk_count_; c++) {
            const Partial part = partial(pair * chunk_count_ + c);
            for (int r = 0; r < rows; r++) {
                const float factor = part.l[r] > 0 ? std::exp(part.m[r] - local.m[r]) : 0.0f;
                local.l[r] += factor * part.l[r];
                for (uint32_t d = 0; d < shape_.dv; d++)
                    local.o[r * shape_.dv + d] += factor * part.o[r * shape_.dv + d];
            }
        }
    }
    for (int r = 0; r < rows; r++) {
        uint8_t* to = call_.out + (first_token + r / group_) * call_.out_token_stride +
                      (head * group_ + r % group_) * call_.out_head_stride;
        for (uint32_t d = 0; d < shape_.dv; d++)
            reinterpret_cast<float*>(to)[d] = local.o[r * shape_.dv + d] / local.l[r];
        if (call_.mass)
            kernels().add_mass(logits_.data() + (head * group_ + r) * total_tokens_, local.m[r], local.l[r],
                               call_.mass + head * view_tokens_, view_tokens_);
    }
}

void Attention::gather_queries(int head, int first_token, int rows, float* q) const {
    for (int r = 0; r < rows; r++) {
        const float* from =
            reinterpret_cast<const float*>(call_.q + (first_token + r / group_) * call_.q_token_stride +
                                           (head * group_ + r % group_) * call_.q_head_stride);
        for (uint32_t d = 0; d < shape_.dk; d++) q[r * shape_.dk + d] = from[d] * call_.scale;
    }
}

void Attention::attend_pieces(int head, int first_token, int rows, size_t chunk, const Partial& to,
                              int thread) {
    float* scratch = thread_buffer(thread);
    float* q = scratch + attend_scratch_floats(max_rows_, shape_.dk, shape_.dv);
    gather_queries(head, first_token, rows, q);
    std::fill_n(to.m, rows, -std::numeric_limits<float>::infinity());
    std::fill_n(to.l, rows, 0.0f);
    std::fill_n(to.o, static_cast<size_t>(rows) * shape_.dv, 0.0f);

    AttendBlock block{};
    block.q = q, block.rows = rows, block.dk = shape_.dk, block.dv = shape_.dv, block.type = shape_.type;
    block.group = group_, block.m = to.m, block.l = to.l, block.o = to.o, block.scratch = scratch;
    block.logits_stride = total_tokens_;
    for (size_t i = chunks_[chunk]; i < chunks_[chunk + 1]; i++) {
        const Piece& piece = pieces_[i];
        const bool tail = piece.run == call_.view_count;
        const KvRun& run = tail ? call_.tail[head] : call_.views[head * call_.view_count + piece.run];
        block.k = static_cast<const uint8_t*>(run.k) + piece.begin * shape_.key_bytes();
        block.v = static_cast<const uint8_t*>(run.v) + piece.begin * shape_.value_bytes();
        block.keys = static_cast<int>(piece.tokens);
        block.bias = run.bias;
        // Token t of the block is the tail's token (tail tokens - call tokens + t) and sees itself.
        const int64_t edge = static_cast<int64_t>(run.tokens) - call_.tokens + first_token + 1 -
                             static_cast<int64_t>(piece.begin);
        block.first_visible = tail ? static_cast<int>(edge) : block.keys;
        if (block.first_visible + (rows - 1) / group_ <= 0) continue;
        if (call_.mass)
            block.logits = logits_.data() + static_cast<size_t>(head) * group_ * total_tokens_ + piece.offset;
        kernels().attend(block);
    }
}

} // namespace wave
