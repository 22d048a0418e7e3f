// What of a layer goes to the device once: exact runs and summaries, and the tail as it grows. What is there
// already when views change stays.
#include "cuda_attention.h"

#include <algorithm>
#include <limits>

namespace repowave {

using cuda::kTileClusters;
using wave::AttentionCall;

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// Pieces of one block of memory, each beginning at a multiple of 64 bytes.
class Pieces {
  public:
    /// @returns where it will be, counted from the block's beginning
    size_t add(const void* from, size_t bytes) {
        const size_t at = bytes_;
        pieces_.push_back({at, from, bytes});
        bytes_ += (bytes + 63) / 64 * 64;
        return at;
    }
    size_t bytes() const { return bytes_; }
    template <class Copy> void copy_to(const Buffer& block, Copy copy) const {
        for (const Piece& piece : pieces_) copy(block.as<void>(piece.at), piece.from, piece.bytes);
    }

  private:
    struct Piece {
        size_t at;
        const void* from;
        size_t bytes;
    };
    std::vector<Piece> pieces_;
    size_t bytes_ = 0;
};

} // namespace

void CudaAttention::store(Layer& layer, const AttentionCall& call) {
    if (call.cache) call.cache->pin(pins_);
    seen_.clear();
    for (size_t i = 0; i < call.exact_count; i++) seen_.insert(call.exact[i].id);
    for (size_t i = 0; i < call.wave_count; i++) seen_.insert(call.wave[i].run.id);
    for (size_t i = 0; i < call.background_count; i++) seen_.insert(call.background[i].id);
    drop_unseen(layer, seen_);
    layer.table = {};
    try {
        for (size_t i = 0; i < call.exact_count; i++) store_slots(layer, call, i);
        for (size_t i = 0; i < call.wave_count; i++)
            store_summaries(layer, call.wave[i].run.id, [&](uint32_t head) {
                const wave::Clusters& own = call.wave[head * call.wave_count + i].clusters;
                return std::pair(own.fine, own.starts);
            });
        for (size_t i = 0; i < call.background_count; i++)
            store_summaries(layer, call.background[i].id, [&](uint32_t head) {
                const uint32_t* const none = nullptr;
                return std::pair(call.background[head * call.background_count + i].whole, none);
            });
        list_tiles(layer, call);
    } catch (const NoDeviceRoom&) {
        drop_unseen(layer, {});
        layer.table = {};
        throw;
    }
    wait(); // what is copied from goes
}

void CudaAttention::store_slots(Layer& layer, const AttentionCall& call, size_t number) {
    const uint64_t id = call.exact[number].id;
    if (layer.parts.contains(id)) return;
    Part part;
    Pieces pieces;
    std::vector<size_t> at;
    for (uint32_t head = 0; head < shape_.kv_heads; head++) {
        const wave::KvRun& run = call.exact[head * call.exact_count + number];
        at.push_back(pieces.add(run.slots, run.tokens * shape_.slot_bytes()));
    }
    part.memory = room(pieces.bytes());
    for (const size_t each : at) part.heads.push_back({.slots = part.memory.as<uint8_t>(each)});
    pieces.copy_to(part.memory, [&](void* to, const void* from, size_t bytes) { store(to, from, bytes); });
    layer.parts.emplace(id, std::move(part));
}

/// of(head): the summaries and, where clusters can be retrieved, where those begin.
template <class Of> void CudaAttention::store_summaries(Layer& layer, uint64_t id, Of of) {
    if (layer.parts.contains(id)) return;
    Part part;
    Pieces pieces;
    struct At {
        size_t keys, values, sizes;
    };
    std::vector<At> at;
    std::vector<cuda::Place> places;
    for (uint32_t head = 0; head < shape_.kv_heads; head++) {
        const auto [summaries, starts] = of(head);
        at.push_back({pieces.add(summaries.keys, summaries.count * shape_.key_bytes()),
                      pieces.add(summaries.values, summaries.count * shape_.value_bytes()),
                      pieces.add(summaries.log_sizes, summaries.count * sizeof(float))});
        part.heads.push_back({.first = static_cast<uint32_t>(places.size())});
        for (uint32_t c = 0; starts && c < summaries.count; c++)
            places.push_back({nullptr, starts[c + 1] - starts[c], 0});
    }
    const size_t places_at = pieces.add(places.data(), places.size() * sizeof(cuda::Place));
    part.memory = room(pieces.bytes());
    for (uint32_t head = 0; head < shape_.kv_heads; head++) {
        Part::Head& own = part.heads[head];
        own.keys = part.memory.as<uint8_t>(at[head].keys);
        own.values = part.memory.as<uint8_t>(at[head].values);
        own.sizes = part.memory.as<float>(at[head].sizes);
    }
    part.places = part.memory.as<cuda::Place>(places_at);
    part.entries.assign(places.size(), ClusterPages::kAbsent);
    pieces.copy_to(part.memory, [&](void* to, const void* from, size_t bytes) { store(to, from, bytes); });
    wait(); // for the places
    layer.parts.emplace(id, std::move(part));
}

void CudaAttention::store(void* to, const void* from, size_t bytes) {
    copy(to, from, bytes);
    counters_.copied += bytes;
}

/// The order of the runs and what is hidden of them, over the parts that are there.
void CudaAttention::list_tiles(Layer& layer, const AttentionCall& call) {
    std::vector<std::vector<cuda::Tile>> tiles(shape_.kv_heads);
    std::vector<std::vector<Origin>> origins(shape_.kv_heads);
    layer.exact.clear();
    layer.cluster_pages = layer.largest_cluster = 0;
    size_t most = 0;
    for (uint32_t head = 0; head < shape_.kv_heads; head++) {
        for (size_t i = 0; i < call.exact_count; i++) {
            const wave::KvRun& run = call.exact[head * call.exact_count + i];
            layer.exact.push_back(
                {layer.parts.at(run.id).heads[head].slots, static_cast<uint32_t>(run.tokens), run.bias});
        }
        const auto add = [&](Part& part, const wave::Summaries& from, size_t skipped, float bias,
                             uint32_t run) {
            if (bias == -kInfinity) return;
            const Part::Head& own = part.heads[head];
            for (uint32_t first = 0; first < from.count; first += kTileClusters) {
                const size_t at = skipped + first;
                const bool fine = !part.entries.empty();
                tiles[head].push_back({own.keys + at * shape_.key_bytes(),
                                       own.values + at * shape_.value_bytes(), own.sizes + at,
                                       fine ? part.places + own.first + at : nullptr,
                                       std::min<uint32_t>(kTileClusters, from.count - first), bias});
                origins[head].push_back({&part, own.first + static_cast<uint32_t>(at), run, first});
            }
        };
        size_t pages = 0;
        for (uint32_t i = 0; i < call.wave_count; i++) {
            const wave::WaveRun& run = call.wave[head * call.wave_count + i];
            add(layer.parts.at(run.run.id), run.clusters.fine, 0, run.run.bias, i);
            for (uint32_t c = 0; c < run.clusters.fine.count; c++) {
                const size_t own = pages_for(run.clusters.starts[c + 1] - run.clusters.starts[c]);
                pages += own, layer.largest_cluster = std::max(layer.largest_cluster, own);
            }
        }
        for (uint32_t i = 0; i < call.background_count; i++) {
            const wave::CoarseRun& run = call.background[head * call.background_count + i];
            const auto skipped = static_cast<size_t>(run.summaries.log_sizes - run.whole.log_sizes);
            add(layer.parts.at(run.id), run.summaries, skipped, run.bias, 0);
        }
        layer.cluster_pages = std::max(layer.cluster_pages, pages);
        most = std::max(most, tiles[head].size());
    }
    layer.tile_count = static_cast<int>(most);
    layer.origins.clear();
    std::vector<cuda::Tile> all;
    for (uint32_t head = 0; head < shape_.kv_heads; head++) {
        tiles[head].resize(most), origins[head].resize(most);
        all.insert(all.end(), tiles[head].begin(), tiles[head].end());
        layer.origins.insert(layer.origins.end(), origins[head].begin(), origins[head].end());
    }
    const size_t bytes = all.size() * sizeof(cuda::Tile);
    layer.table = room(bytes);
    store(layer.table.as<void>(), all.data(), bytes);
    wait();
}

/// @returns whether there was any
bool CudaAttention::drop_unseen(Layer& layer, const std::set<uint64_t>& seen) {
    return std::erase_if(layer.parts, [&](const auto& each) {
               const auto& [id, part] = each;
               if (seen.contains(id)) return false;
               for (const uint32_t entry : part.entries)
                   if (entry != ClusterPages::kAbsent) pages_.release(entry);
               const cuda::Place *const first = part.places, *const end = first + part.entries.size();
               std::erase_if(placings_,
                             [&](const auto& one) { return one.first >= first && one.first < end; });
               return true;
           }) > 0;
}

/// Of layers that nobody has asked for since views have changed.
bool CudaAttention::drop_old(const std::set<uint64_t>& seen) {
    bool dropped = false;
    for (Layer& layer : layers_)
        if (!layer.ready && !layer.refused) dropped = drop_unseen(layer, seen) || dropped;
    return dropped;
}

/// What is there stays, and when there is no room it stays where it is: it may be nowhere else.
void CudaAttention::grow_tail(Layer& layer, size_t tokens) {
    if (tokens <= layer.tail_room) return;
    Layer bigger;
    bigger.tail_room = std::max<size_t>(256, 2 * tokens);
    const size_t heads_at = tail_at(bigger, shape_.kv_heads, 0);
    bigger.tail = room(heads_at + shape_.kv_heads * sizeof(void*));
    std::vector<void*> heads;
    for (uint32_t head = 0; head < shape_.kv_heads; head++) {
        heads.push_back(bigger.tail.as<void>(tail_at(bigger, head, 0)));
        copy(heads.back(), layer.tail.as<void>(tail_at(layer, head, 0)),
             layer.tail_tokens * shape_.slot_bytes());
    }
    copy(bigger.tail.as<void>(heads_at), heads.data(), heads.size() * sizeof(void*));
    wait(); // what is copied from goes
    layer.tail = std::move(bigger.tail);
    layer.tail_room = bigger.tail_room;
}

void CudaAttention::copy_tail(Layer& layer, const wave::KvRun* tail) {
    const size_t tokens = tail[0].tokens, slot = shape_.slot_bytes();
    grow_tail(layer, tokens);
    for (uint32_t head = 0; layer.tail_tokens < tokens && head < shape_.kv_heads; head++)
        copy(layer.tail.as<void>(tail_at(layer, head, layer.tail_tokens)),
             tail[head].slots + layer.tail_tokens * slot, (tokens - layer.tail_tokens) * slot);
    layer.tail_tokens = std::max(layer.tail_tokens, tokens);
}

bool CudaAttention::append(uint32_t number, const wave::KvRun* before, size_t tokens, const void* k,
                           const void* v, size_t stride) {
    if (!failure_.empty()) return false;
    Layer& layer = layers_[number];
    const size_t first = before[0].tokens;
    try {
        pages_.begin_step(); // room may come from clusters
        grow_tail(layer, first + tokens);
        copy_tail(layer, before);
        cuda::Append append{};
        append.k = static_cast<const float*>(k), append.v = static_cast<const float*>(v);
        append.token_stride = stride / sizeof(float);
        append.tails = layer.tail.as<void*>(tail_at(layer, shape_.kv_heads, 0));
        append.first = first, append.head_size = static_cast<int>(shape_.dk);
        const CudaLibrary& library = memory_.library();
        library.check(library.wait_for_all()); // for those who compute k and v
        library.check(
            library.append(plan_.format, &append, static_cast<int>(tokens), plan_.kv_heads, nullptr));
        wait(); // others write over k and v
    } catch (const NoDeviceRoom&) {
        return false;
    } catch (const CudaProblem& problem) {
        failure_ = problem.what();
        return false;
    }
    layer.tail_tokens = first + tokens;
    return true;
}

void CudaAttention::read_tail(uint32_t number, size_t first, size_t end, wave::KvTail& to) {
    const Layer& layer = layers_[number];
    for (uint32_t head = 0; head < shape_.kv_heads; head++)
        copy(to.slot(number, head, first), layer.tail.as<void>(tail_at(layer, head, first)),
             (end - first) * shape_.slot_bytes());
    wait();
}

size_t CudaAttention::first_seen(const AttentionCall& call, int64_t position, size_t tokens) {
    const int64_t first = call.window > 0 ? call.position - call.window + 1 - position : 0;
    return static_cast<size_t>(std::clamp<int64_t>(first, 0, static_cast<int64_t>(tokens)));
}

/// Exact runs and the tail as this call sees them: a window leaves their ends.
std::vector<cuda::Run> CudaAttention::runs(const Layer& layer, const AttentionCall& call) const {
    std::vector<cuda::Run> seen;
    const auto add = [&](const uint8_t* slots, size_t tokens, float bias, int64_t position) {
        const size_t first = first_seen(call, position, tokens);
        seen.push_back({slots + first * shape_.slot_bytes(), static_cast<uint32_t>(tokens - first), bias});
    };
    for (uint32_t head = 0; head < shape_.kv_heads; head++) {
        for (size_t i = 0; i < call.exact_count; i++) {
            const wave::KvRun& run = call.exact[head * call.exact_count + i];
            const auto* const slots =
                static_cast<const uint8_t*>(layer.exact[head * call.exact_count + i].slots);
            add(slots, run.tokens, run.bias, run.position);
        }
        const size_t tokens = call.tail[head].tokens;
        add(layer.tail.as<uint8_t>(tail_at(layer, head, 0)), tokens, call.tail[head].bias,
            call.position - static_cast<int64_t>(tokens) + 1);
    }
    return seen;
}

} // namespace repowave
