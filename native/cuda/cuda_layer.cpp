// What of a layer goes to the device once: exact runs, summaries, and the tail as it grows.
#include "cuda_attention.h"

#include <algorithm>
#include <limits>

namespace repowave {

using cuda::kTileClusters;
using wave::AttentionCall;

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// Parts of one piece of memory, each beginning at a multiple of 64 bytes.
class Parts {
  public:
    size_t add(const void* from, size_t bytes) {
        const size_t at = bytes_;
        parts_.push_back({at, from, bytes});
        bytes_ += (bytes + 63) / 64 * 64;
        return at;
    }
    size_t bytes() const { return bytes_; }
    template <class Copy> void copy_to(uint8_t* base, Copy copy) const {
        for (const Part& part : parts_) copy(base + part.at, part.from, part.bytes);
    }

  private:
    struct Part {
        size_t at;
        const void* from;
        size_t bytes;
    };
    std::vector<Part> parts_;
    size_t bytes_ = 0;
};

/// The tiles of a head. Until there is memory, pointers are places in it, counted from nothing.
struct HeadTiles {
    std::vector<cuda::Tile> tiles;
    std::vector<uint32_t> runs, firsts;
};

void add_summaries(HeadTiles& to, Parts& parts, const wave::Summaries& from, float bias, uint32_t run,
                   bool fine, const wave::KvShape& shape) {
    if (bias == -kInfinity || from.count == 0) return;
    const size_t keys = parts.add(from.keys, from.count * shape.key_bytes());
    const size_t values = parts.add(from.values, from.count * shape.value_bytes());
    const size_t sizes = parts.add(from.log_sizes, from.count * sizeof(float));
    for (uint32_t first = 0; first < from.count; first += kTileClusters) {
        cuda::Tile tile{};
        tile.keys = reinterpret_cast<const void*>(keys + first * shape.key_bytes());
        tile.values = reinterpret_cast<const void*>(values + first * shape.value_bytes());
        tile.log_sizes = reinterpret_cast<const float*>(sizes + first * sizeof(float));
        tile.places = fine ? reinterpret_cast<const cuda::Place*>(1) : nullptr;
        tile.count = std::min<uint32_t>(kTileClusters, from.count - first);
        tile.bias = bias;
        to.tiles.push_back(tile);
        to.runs.push_back(run), to.firsts.push_back(first);
    }
}

template <class T> void rebase(const T*& pointer, const uint8_t* base) {
    pointer = reinterpret_cast<const T*>(base + reinterpret_cast<uintptr_t>(pointer));
}

} // namespace

void CudaAttention::store(Layer& layer, const AttentionCall& call) {
    Parts parts;
    std::vector<HeadTiles> heads(shape_.kv_heads);
    layer.exact.clear();
    layer.tile_count = 0;
    for (uint32_t head = 0; head < shape_.kv_heads; head++) {
        for (size_t i = 0; i < call.exact_count; i++) {
            const wave::KvRun& run = call.exact[head * call.exact_count + i];
            const size_t at = parts.add(run.slots, run.tokens * shape_.slot_bytes());
            layer.exact.push_back(
                {reinterpret_cast<const void*>(at), static_cast<uint32_t>(run.tokens), run.bias});
        }
        for (uint32_t i = 0; i < call.wave_count; i++) {
            const wave::WaveRun& run = call.wave[head * call.wave_count + i];
            add_summaries(heads[head], parts, run.clusters.fine, run.run.bias, i, true, shape_);
        }
        for (uint32_t i = 0; i < call.background_count; i++) {
            const auto& [summaries, bias] = call.background[head * call.background_count + i];
            add_summaries(heads[head], parts, summaries, bias, 0, false, shape_);
        }
        layer.tile_count = std::max(layer.tile_count, static_cast<int>(heads[head].tiles.size()));
    }
    const size_t tiles = shape_.kv_heads * layer.tile_count;
    std::vector<cuda::Tile> all(tiles);
    std::vector<cuda::Place> places(tiles * kTileClusters);
    const size_t places_at = parts.add(places.data(), places.size() * sizeof(cuda::Place));
    const size_t tiles_at = parts.add(all.data(), all.size() * sizeof(cuda::Tile));
    layer.stored = {};
    layer.stored = room(std::max<size_t>(64, parts.bytes())); // of no bytes there is no memory
    const auto* const base = layer.stored.as<uint8_t>();

    layer.tiles = layer.stored.as<cuda::Tile>(tiles_at);
    layer.places = layer.stored.as<cuda::Place>(places_at);
    layer.origins.assign(tiles, {});
    layer.entries.assign(tiles * kTileClusters, ClusterPages::kAbsent);
    layer.cluster_pages = layer.largest_cluster = 0;
    for (cuda::Run& run : layer.exact) {
        const auto at = reinterpret_cast<uintptr_t>(run.slots);
        run.slots = base + at;
    }
    for (uint32_t head = 0; head < shape_.kv_heads; head++) {
        size_t pages = 0;
        for (size_t t = 0; t < heads[head].tiles.size(); t++) {
            const size_t number = head * layer.tile_count + t;
            const uint32_t run = heads[head].runs[t], first = heads[head].firsts[t];
            layer.origins[number] = {run, first};
            cuda::Tile& tile = all[number] = heads[head].tiles[t];
            tile.keys = base + reinterpret_cast<uintptr_t>(tile.keys);
            tile.values = base + reinterpret_cast<uintptr_t>(tile.values);
            rebase(tile.log_sizes, base);
            if (!tile.places) continue;
            tile.places = layer.places + number * kTileClusters;
            const uint32_t* starts = call.wave[head * call.wave_count + run].clusters.starts + first;
            for (uint32_t c = 0; c < tile.count; c++) {
                cuda::Place& place = places[number * kTileClusters + c];
                place = {nullptr, starts[c + 1] - starts[c], 0};
                const size_t own = pages_for(place.tokens);
                pages += own;
                layer.largest_cluster = std::max(layer.largest_cluster, own);
            }
        }
        layer.cluster_pages = std::max(layer.cluster_pages, pages);
    }
    parts.copy_to(layer.stored.as<uint8_t>(),
                  [&](uint8_t* to, const void* from, size_t bytes) { copy(to, from, bytes); });
    wait(); // what is copied from goes
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
