// What there is to do for a call, in chunks that depend on the call alone.
#include "attention.h"

#include <algorithm>
#include <limits>

namespace wave {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
/// About this many items are enough for any number of threads; more would only cost memory for partial
/// results.
constexpr size_t kMostItems = 512;
/// From this many (block, head) pairs on there is enough to share out without splitting the keys.
constexpr size_t kEnoughItems = 64;

void Attention::begin(const AttentionCall& call) {
    call_ = call;
    const int size = max_rows_ / group_;
    blocks_ = (call.tokens + size - 1) / size;
    pairs_ = blocks_ * shape_.kv_heads;
    plan(call);
    prepare_memory();
    next_.store(0, std::memory_order_release);
}

void Attention::plan(const AttentionCall& call) {
    exact_tokens_ = wave_tokens_ = 0;
    for (size_t run = 0; run < call.exact_count; run++) exact_tokens_ += call.exact[run].tokens;
    steady_tokens_ = exact_tokens_ + call.tail[0].tokens;
    for (size_t run = 0; run < call.wave_count; run++) wave_tokens_ += call.wave[run].run.tokens;
    whole_waves_ = call.wave_count > 0 && call.tokens > 1;
    const bool whole = whole_waves_ || pairs_ >= kEnoughItems;
    const size_t chunk_keys =
        std::max(kChunkKeys, steady_tokens_ * pairs_ / kMostItems / kTileKeys * kTileKeys);
    pieces_.clear();
    chunks_.clear();
    plan_exact(whole, chunk_keys);
    plan_waves(whole);
}

/// Cuts the exact runs and the tail into pieces of at most a chunk's keys and gathers pieces into chunks of
/// about that many.
void Attention::plan_exact(bool whole, size_t chunk_keys) {
    size_t in_chunk = 0, offset = 0, first = 0;
    for (uint32_t run = 0; run <= call_.exact_count; run++) {
        const size_t tokens = run < call_.exact_count ? call_.exact[run].tokens : call_.tail[0].tokens;
        for (size_t begin = 0; begin < tokens;) {
            const size_t n = whole ? tokens - begin : std::min(chunk_keys, tokens - begin);
            if (!whole && in_chunk && in_chunk + n > chunk_keys) {
                chunks_.push_back({kSteady, first, pieces_.size()});
                first = pieces_.size();
                in_chunk = 0;
            }
            pieces_.push_back({run, begin, n, offset + begin});
            in_chunk += n;
            begin += n;
        }
        offset += tokens;
    }
    chunks_.push_back({kSteady, first, pieces_.size()});
}

/// Clusters are counted per head; chunks are cut by the most that any head has.
void Attention::plan_waves(bool whole) {
    const auto add = [&](Zone zone, size_t count) {
        const size_t each = whole ? std::max<size_t>(1, count) : kChunkKeys;
        for (size_t begin = 0; begin < count; begin += each)
            chunks_.push_back({zone, begin, std::min(count, begin + each)});
    };
    wave_clusters_ = 0;
    size_t background = 0;
    for (uint32_t head = 0; head < shape_.kv_heads; head++) {
        size_t clusters = 0;
        for (size_t run = 0; run < call_.wave_count; run++)
            clusters += call_.wave[head * call_.wave_count + run].clusters.fine.count;
        wave_clusters_ = std::max(wave_clusters_, clusters);
        background = std::max(background, background_clusters(static_cast<int>(head)));
    }
    add(kCoarse, background);
    if (call_.wave_count == 0) return;
    const size_t tokens = std::min(wave_tokens_, call_.budget);
    const size_t parts = whole ? 1 : std::max<size_t>(1, (tokens + kChunkKeys - 1) / kChunkKeys);
    for (size_t part = 0; part < parts; part++) chunks_.push_back({kRetrieved, part, parts});
    if (call_.estimate) add(kEstimated, wave_clusters_);
}

/// Of the background's runs that are not hidden.
size_t Attention::background_clusters(int head) const {
    size_t clusters = 0;
    for (size_t i = 0; i < call_.background_count; i++)
        if (background(head)[i].bias != -kInfinity) clusters += background(head)[i].summaries.count;
    return clusters;
}

void Attention::prepare_memory() {
    if (left_.size() < pairs_) left_ = std::vector<std::atomic<uint32_t>>(pairs_);
    for (size_t i = 0; i < pairs_; i++)
        left_[i].store(static_cast<uint32_t>(chunks_.size()), std::memory_order_relaxed);
    partial_rows_ = std::min(max_rows_, call_.tokens * group_);
    const bool split = chunks_.size() > 1 && !whole_waves_;
    const size_t floats = pairs_ * chunks_.size() * partial_rows_ * (shape_.dv + 2);
    if (split && partials_.size() < floats) partials_.resize(floats);
    if (call_.mass) {
        // Those of keys that no row sees are not written: -infinity is no mass.
        logits_.assign(static_cast<size_t>(query_heads_) * steady_tokens_, -kInfinity);
        retrieved_logits_.resize(
            std::max(retrieved_logits_.size(), static_cast<size_t>(query_heads_) * wave_tokens_));
    }
    score_chunks_ = 0;
    if (call_.wave_count == 0 || whole_waves_) return;
    score_chunks_ = std::max<size_t>(1, (wave_clusters_ + kChunkKeys - 1) / kChunkKeys);
    for (uint32_t head = 0; head < shape_.kv_heads; head++) {
        passes_[head].begin(call_.wave + head * call_.wave_count, call_.wave_count, group_);
        to_score_[head].store(static_cast<uint32_t>(score_chunks_), std::memory_order_relaxed);
        selected_[head].store(false, std::memory_order_relaxed);
    }
}

} // namespace wave
