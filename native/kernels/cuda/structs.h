// What the kernels and their callers hand each other, in memory of the device or memory that it can read.
#pragma once

#include <cstddef>
#include <cstdint>

namespace repowave::cuda {

enum class Format : uint32_t { f16 = 0, bf16 = 1 };

constexpr int kPageTokens = 8;    ///< tokens that one step of attention takes together
constexpr int kTileClusters = 32; ///< clusters that one warp scores together
constexpr int kPassRows = 8; ///< query heads of one KV head that are taken together; more take more passes

/// Consecutive tokens of one KV head, seen whole. A slot is K [D] and V [D] of a token side by side, 16-byte
/// aligned; in device memory or, read over the bus, in pinned memory of the host.
struct Run {
    const void* slots;
    uint32_t tokens;
    float bias; ///< added to every logit; -infinity hides the run
};

/// Where the tokens of a cluster lie: an entry of the mapping table.
struct Place {
    const void* slots; ///< as in Run; null: they cannot be had, and the cluster is estimated
    uint32_t tokens;
    uint32_t scattered; ///< 1: `slots` are the addresses of its pages, each of kPageTokens slots but the last
};

/// At most kTileClusters summaries of one KV head: mean keys, mean values, log sizes
/// (native/wave/clusters.h).
struct Tile {
    const void* keys;       ///< [count][D], 16-byte aligned
    const void* values;     ///< [count][D], 16-byte aligned
    const float* log_sizes; ///< [count]
    const Place* places;    ///< [count]; null: coarse summaries, which are only estimated
    uint32_t count;
    float bias; ///< added to every logit; -infinity hides the tile: nothing of it is read
};

/// What one step did for a KV head.
struct HeadReport {
    uint32_t chosen;   ///< clusters
    uint32_t late;     ///< of those, the ones that are estimated: no place, or no room in the list of pages
    uint32_t pages;    ///< that were attended to
    uint32_t overflow; ///< 1 when the runs had too many pages for the list: the result is wrong
};

/// The sizes of a step: one token of one layer.
struct Plan {
    Format format;
    int head_size; ///< D: 64, 80, 96, 128 or 256
    int kv_heads;
    int group;       ///< query heads per KV head
    int tiles;       ///< per KV head; where a head has fewer, count is 0
    int runs;        ///< per KV head; where a head has fewer, tokens is 0
    uint32_t budget; ///< tokens to retrieve per KV head, see native/wave/selection.h
    int max_pages;   ///< room per KV head, at least for the runs
    bool estimate;   ///< whether clusters that are not retrieved are estimated
    float scale;     ///< of q . k
    float soft_cap;  ///< 0, or logits become soft_cap * tanh(logit / soft_cap) before the biases
    int score_blocks, exact_blocks, estimate_blocks; ///< per KV head: how far the work is spread
};

/// What a step reads and writes, all in memory of the device.
struct Step {
    const float* q;      ///< [kv_heads][group][D]
    const Tile* tiles;   ///< [kv_heads][tiles]
    const Run* runs;     ///< [kv_heads][runs]
    const float* sinks;  ///< null, or [kv_heads][group]: a logit that takes mass and has no value
    float* out;          ///< [kv_heads][group][D]
    float* lse;          ///< null, or [kv_heads][group]: log of the sum of exp(logit)
    HeadReport* reports; ///< [kv_heads]
    uint32_t* bits;      ///< [kv_heads][tiles]: bit c is set when cluster c of the tile was retrieved
    Run* pages;  ///< [kv_heads][max_pages]: what was attended to, runs first, then clusters in their order
    float* mass; ///< null, or [kv_heads][max_pages][8]: attention that each token of a page got, summed over
                 ///< the group; needs lse
    float* coarse; ///< null, or [kv_heads][group]: the share of the attention that tiles without places got;
                   ///< needs lse
};

/// New tokens at the end of what a session has computed itself.
struct Append {
    const float *k, *v; ///< [tokens] of [kv_heads][D], token_stride elements apart
    size_t token_stride;
    void* const* tails; ///< [kv_heads]: where the slots of a tail begin
    size_t first;       ///< the slot of the first token
    int head_size;
};

/// Consecutive slots on their way between memories of host and device.
struct Move {
    const void* from;
    void* to;
    uint32_t tokens;
};

/// What an entry of the mapping table is to tell from now on.
struct Placing {
    Place* place;
    const void* slots;
    uint32_t scattered;
};

/// Consecutive tokens of one KV head as several new tokens see them. Positions count from the first of those.
struct Span {
    const void* slots; ///< as in Run
    uint32_t tokens;
    float bias;       ///< as in Run
    int32_t position; ///< of the first token; told by windows and causal spans only
    uint32_t causal;  ///< 1: a new token sees nothing behind its own position
};

/// Several new tokens of one layer, which attend to spans.
struct Prefill {
    Format format;
    int head_size; ///< D: as in Plan
    int kv_heads;
    int group;
    int tokens;
    int spans;  ///< per KV head; where a head has fewer, tokens is 0
    int window; ///< 0, or how many positions back, its own included, a token sees
    float scale, soft_cap;
    int splits;            ///< how far the work on the same tokens is spread
    const float* q;        ///< [kv_heads][tokens][group][D]
    const Span* seen;      ///< [kv_heads][spans]
    const float* sinks;    ///< null, or as in Step
    const float* more;     ///< null, or as out: attention to something else, to be merged in ...
    const float* more_lse; ///< ... and [kv_heads][tokens][group] as Step::lse; -infinity: there is nothing
    float* out;            ///< [kv_heads][tokens][group][D]
};

/// The keys of one layer, to be put into clusters: each KV head's for itself.
struct Clustering {
    Format format;
    int head_size; ///< D: as in Plan
    int kv_heads;
    int tokens;
    const void* const* slots; ///< [kv_heads] of [tokens] slots, as in Run
    uint32_t* nearest;        ///< [kv_heads][tokens]: the centroid that each token goes to in the end
};

} // namespace repowave::cuda
