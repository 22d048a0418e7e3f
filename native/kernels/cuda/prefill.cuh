// Exact attention of several tokens of one layer: over runs and over the tokens' own past. A block has some
// query rows, eight for each warp, and goes over keys and values that its warps read from shared memory
// (FlashAttention-2, Dao 2023). Queries and weights count in full, as for one token: the other eight rows of
// each product hold what 16 bits lose of them. That is twice the products of attention in 16 bits.
#pragma once

#include "fragments.cuh"
#include "structs.h"

namespace repowave::cuda {

constexpr int kPrefillWarps = 8;
constexpr int kPrefillRows = 8 * kPrefillWarps;
/// Keys that a block takes together.
template <int D> constexpr int kPrefillKeys = D > 128 ? 16 : 32;

struct PrefillArgs {
    const float* q;
    const Span* seen;
    float* o;     ///< [kv_heads][tokens][group][splits][D]
    Mass* masses; ///< [kv_heads][tokens][group][splits]
    int tokens, group, spans, window;
    Logits logit;
};

/// Keys and values of some tokens in shared memory, apart. The strides, in elements, bring what 8 lanes read
/// together to different banks.
template <int D> struct PrefillTile {
    static constexpr int kKeys = kPrefillKeys<D>;
    static constexpr int kKeyStride = (2 * D + 63) / 128 * 64 + 32;
    static constexpr int kValueStride = (2 * D + 47) / 64 * 32 + 8;
    uint4 keys[kKeys * kKeyStride / 8], values[kKeys * kValueStride / 8];

    __device__ __forceinline__ const uint16_t* key(int i) const {
        return reinterpret_cast<const uint16_t*>(keys) + i * kKeyStride;
    }
    __device__ __forceinline__ const uint16_t* value(int i) const {
        return reinterpret_cast<const uint16_t*>(values) + i * kValueStride;
    }
};

template <int D>
constexpr size_t kPrefillShared = kPrefillWarps * sizeof(Queries<D>) + sizeof(PrefillTile<D>);

/// The keys of a span that a token sees.
struct Seen {
    int begin, end;
    __device__ __forceinline__ Seen(const Span& span, int token, int window)
        : begin(window > 0 ? max(0, token + 1 - window - span.position) : 0),
          end(span.causal ? min(static_cast<int>(span.tokens), token + 1 - span.position)
                          : static_cast<int>(span.tokens)) {}
};

/// Goes over what a block has to take of the spans, some keys at a time.
template <int D> struct PrefillWalk {
    const Span* seen;
    int spans, first_token, last_token, window, splits, split;
    int number = -1, first = 0, end = 0; ///< of the span, and of the keys in it
    Span span{};

    /// @returns false at the end
    __device__ __forceinline__ bool next() {
        first += splits * kPrefillKeys<D>;
        while (first >= end) {
            if (++number == spans) return false;
            span = seen[number];
            if (!(span.bias > -INFINITY)) continue; // nothing of it is read
            end = Seen(span, last_token, window).end;
            first = Seen(span, first_token, window).begin + split * kPrefillKeys<D>;
        }
        return true;
    }
};

/// What a thread brings of the next keys while the block is at the ones before.
template <int D> struct PrefillParts {
    static constexpr int kThreads = 32 * kPrefillWarps;
    static constexpr int kSlotParts = 2 * D / 8; ///< of 16 bytes
    static constexpr int kCount = (kPrefillKeys<D> * kSlotParts + kThreads - 1) / kThreads;
    uint4 parts[kCount];

    __device__ __forceinline__ void load(const PrefillWalk<D>& at, int thread) {
#pragma unroll
        for (int i = 0; i < kCount; i++) {
            const int part = thread + i * kThreads, key = at.first + part / kSlotParts;
            parts[i] = {0, 0, 0, 0};
            if (part < kPrefillKeys<D> * kSlotParts && key < at.end)
                parts[i] = static_cast<const uint4*>(
                    at.span.slots)[static_cast<size_t>(key) * kSlotParts + part % kSlotParts];
        }
    }
    __device__ __forceinline__ void store(PrefillTile<D>& to, int thread) const {
#pragma unroll
        for (int i = 0; i < kCount; i++) {
            const int part = thread + i * kThreads, key = part / kSlotParts, of = part % kSlotParts;
            if (key >= kPrefillKeys<D>) continue;
            if (of < kSlotParts / 2)
                to.keys[key * PrefillTile<D>::kKeyStride / 8 + of] = parts[i];
            else
                to.values[key * PrefillTile<D>::kValueStride / 8 + of - kSlotParts / 2] = parts[i];
        }
    }
};

/// A warp's queries: in registers, but for heads of 256, of which there are too many.
template <class T, int D> class WarpQueries {
  public:
    __device__ __forceinline__ WarpQueries(const Queries<D>& q, int lane) : q_(q), lane_(lane) {
#pragma unroll
        for (int i = 0; i < kHeld; i++) high_[i] = q.high[i][lane], low_[i] = q.low[i][lane];
    }
    __device__ __forceinline__ void multiply(float& s0, float& s1, const Keys<D>& keys) const {
        s0 = s1 = 0.0f;
#pragma unroll
        for (int i = 0; i < kHeld; i++) multiply_part<T, D>(s0, s1, high_[i], low_[i], keys.parts[i], i);
#pragma unroll
        for (int i = kHeld; i < kKeyParts<D>; i++)
            multiply_part<T, D>(s0, s1, q_.high[i][lane_], q_.low[i][lane_], keys.parts[i], i);
    }

  private:
    static constexpr int kHeld = D > 128 ? 0 : kKeyParts<D>;
    const Queries<D>& q_;
    const int lane_;
    uint4 high_[kHeld ? kHeld : 1], low_[kHeld ? kHeld : 1];
};

/// What a query row sees of the keys that lie in shared memory, sixteen at a time.
template <class T, int D>
__device__ __forceinline__ void attend_tile(Accumulator<T, D>& sum, const WarpQueries<T, D>& queries,
                                            const PrefillTile<D>& tile, const PrefillWalk<D>& at, Seen seen,
                                            float factor, const Logits& logit, Lane lane) {
    for (int first = 0; first < kPrefillKeys<D>; first += 16) {
        if (at.first + first >= at.end) return;
        Keys<D> keys[2];
#pragma unroll
        for (int i = 0; i < 2; i++)
            keys[i].template load<Shared>(tile.key(first + 8 * i + lane.r), true, lane.c);
        float s[4];
        queries.multiply(s[0], s[1], keys[0]);
        queries.multiply(s[2], s[3], keys[1]);
#pragma unroll
        for (int j = 0; j < 4; j++) {
            const int key = at.first + first + j / 2 * 8 + 2 * lane.c + j % 2;
            const bool there = seen.begin <= key && key < seen.end;
            s[j] = there ? logit.of(s[j] * factor) + at.span.bias * kLog2E : -INFINITY;
        }
        // Not before the keys are done with: there are not registers enough for both of large heads.
        Values<D> values[4];
#pragma unroll
        for (int j = 0; j < 4; j++)
            values[j].template load<Shared>(tile.value(first + j / 2 * 8 + 2 * lane.c + j % 2), true, lane.r);
        sum.add(s, values);
    }
}

/// grid (rows / kPrefillRows rounded up, kv_heads, splits) of 256 threads. A row is a token with one of the
/// query heads.
template <class T, int D>
__global__ void __launch_bounds__(32 * kPrefillWarps, 1) prefill_kernel(PrefillArgs a) {
    SIMT_SHARED(shared);
    const int thread = threadIdx.x, warp = thread / 32;
    const Lane lane(thread % 32);
    auto& queries = reinterpret_cast<Queries<D>*>(shared)[warp];
    auto& tile = *reinterpret_cast<PrefillTile<D>*>(shared + kPrefillWarps * sizeof(Queries<D>));
    const int head = blockIdx.y, rows = a.tokens * a.group;
    const int first_row = blockIdx.x * kPrefillRows, warp_row = first_row + 8 * warp;
    const size_t head_row = static_cast<size_t>(head) * rows;
    stage_queries<T, D>(queries, a.q + (head_row + warp_row) * D, max(0, min(8, rows - warp_row)),
                        thread % 32, 32);
    __syncwarp();
    const WarpQueries<T, D> own(queries, thread % 32);
    const float factor = queries.factor[lane.r];
    const int token = min(warp_row + lane.r, rows - 1) / a.group;

    const int last_row = min(first_row + kPrefillRows, rows) - 1;
    PrefillWalk<D> at{a.seen + static_cast<size_t>(head) * a.spans,
                      a.spans,
                      first_row / a.group,
                      last_row / a.group,
                      a.window,
                      static_cast<int>(gridDim.z),
                      static_cast<int>(blockIdx.z)};
    Accumulator<T, D> sum;
    PrefillParts<D> next;
    bool more = at.next();
    if (more) next.load(at, thread);
    while (more) {
        next.store(tile, thread);
        __syncthreads();
        const PrefillWalk<D> here = at;
        more = at.next();
        if (more) next.load(at, thread);
        if (warp_row < rows)
            attend_tile<T, D>(sum, own, tile, here, Seen(here.span, token, a.window), factor, a.logit, lane);
        __syncthreads();
    }

    float l = sum.l + __shfl_xor_sync(~0u, sum.l, 1);
    l += __shfl_xor_sync(~0u, l, 2);
    if (warp_row + lane.r >= rows) return;
    const size_t to = (head_row + warp_row + lane.r) * gridDim.z + blockIdx.z;
#pragma unroll
    for (int t = 0; t < D / 8; t++)
        for (int e = 0; e < 2; e++) a.o[to * D + Values<D>::element(t, 2 * lane.c + e)] = sum.o[t][e];
    if (lane.c == 0) a.masses[to] = {sum.m, l};
}

struct PrefillMergeArgs {
    const float* o;
    const Mass* masses;
    const float *sinks, *more, *more_lse; ///< as in Prefill
    float* out;
    int rows, group, splits; ///< rows of a KV head
};

/// grid rows of all KV heads of D threads.
__global__ void __launch_bounds__(256) prefill_merge_kernel(PrefillMergeArgs a) {
    const size_t row = blockIdx.x;
    const int d = threadIdx.x, dimension = blockDim.x;
    const Mass* const masses = a.masses + row * a.splits;
    const float sink =
        a.sinks ? a.sinks[row / a.rows * a.group + row % a.rows % a.group] * kLog2E : -INFINITY;
    const float other = a.more ? a.more_lse[row] * kLog2E : -INFINITY;
    float m = max(kLow, max(sink, other));
    for (int s = 0; s < a.splits; s++) m = max(m, masses[s].m);
    float l = exp2_of(sink - m + kWeightShift), x = 0.0f;
    if (!(other == -INFINITY)) {
        const float weight = exp2_of(other - m + kWeightShift);
        l += weight;
        x += weight * a.more[row * dimension + d];
    }
    for (int s = 0; s < a.splits; s++) {
        const float factor = exp2_of(masses[s].m - m);
        l += factor * masses[s].l;
        x += factor * a.o[(row * a.splits + s) * dimension + d];
    }
    a.out[row * dimension + d] = x / l;
}

/// The bytes of device memory that a prefill needs beside what it reads and writes.
inline size_t prefill_workspace(const Prefill& p) {
    return static_cast<size_t>(p.kv_heads) * p.tokens * p.group * p.splits *
           (p.head_size * sizeof(float) + sizeof(Mass));
}

template <class T, int D> void prefill(const Prefill& p, void* workspace, cudaStream_t stream) {
    const int rows = p.tokens * p.group;
    const size_t parts = static_cast<size_t>(p.kv_heads) * rows * p.splits;
    auto* const o = static_cast<float*>(workspace);
    auto* const masses = reinterpret_cast<Mass*>(o + parts * D);
    const PrefillArgs a = {
        p.q, p.seen, o, masses, p.tokens, p.group, p.spans, p.window, {p.scale, p.soft_cap}};
    SIMT_ALLOW_SHARED((prefill_kernel<T, D>), kPrefillShared<D>);
    SIMT_LAUNCH((prefill_kernel<T, D>), dim3((rows + kPrefillRows - 1) / kPrefillRows, p.kv_heads, p.splits),
                dim3(32 * kPrefillWarps), kPrefillShared<D>, stream, a);
    const PrefillMergeArgs merged = {o, masses, p.sinks, p.more, p.more_lse, p.out, rows, p.group, p.splits};
    SIMT_LAUNCH(prefill_merge_kernel, dim3(p.kv_heads * rows), dim3(D), 0, stream, merged);
}

} // namespace repowave::cuda
