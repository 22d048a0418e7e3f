// K and V of a run of tokens, as attention reads them. No dependency.
#pragma once

#include "../kernels/kernels.h"

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <vector>

namespace wave {

/// What all stored K/V of one model have in common.
struct KvShape {
    uint32_t layers = 0;
    uint32_t kv_heads = 0;
    uint32_t dk = 0; ///< elements of a key, a multiple of 16
    uint32_t dv = 0; ///< elements of a value, a multiple of 16
    DType type = DType::f16;

    size_t key_bytes() const { return dk * dtype_size(type); }
    size_t value_bytes() const { return dv * dtype_size(type); }
    /// A slot is one token of one layer and KV head: K [dk] and V [dv] side by side.
    size_t slot_elements() const { return static_cast<size_t>(dk) + dv; }
    size_t slot_bytes() const { return key_bytes() + value_bytes(); }
    size_t heads() const { return static_cast<size_t>(layers) * kv_heads; }
    /// Over all layers and heads.
    size_t bytes_per_token() const { return heads() * slot_bytes(); }
    bool operator==(const KvShape&) const = default;
};

/// @returns a number that nothing else in this process has: names what is in memory, for those who copy it
uint64_t new_identity();

/// The keys and values of `tokens` consecutive tokens for one layer and KV head.
struct KvRun {
    const uint8_t* slots; ///< [tokens]; null where they are read from a file as they are needed
    size_t tokens;
    float bias = 0;       ///< added to every attention logit; -infinity hides the run
    int64_t position = 0; ///< of the first token; only told by sliding windows
    uint64_t id = 0;      ///< of what is stored there, see new_identity
};

struct FreeDeleter {
    void operator()(void* p) const { std::free(p); }
};
/// 64-byte aligned, uninitialised.
using AlignedBytes = std::unique_ptr<uint8_t, FreeDeleter>;

inline AlignedBytes aligned_bytes(size_t n) {
    AlignedBytes bytes(static_cast<uint8_t*>(std::aligned_alloc(64, (n + 63) / 64 * 64 + 64)));
    if (!bytes) throw std::bad_alloc();
    return bytes;
}

/// The K/V of the tokens that a session has computed itself; grows at the end.
class KvTail {
  public:
    explicit KvTail(const KvShape& shape) : shape_(shape), slots_(shape.heads()) {}

    size_t tokens() const { return tokens_; }
    const KvShape& shape() const { return shape_; }

    /// Makes room for n tokens in all. Throws std::bad_alloc.
    void reserve(size_t n);
    /// Declares the first n tokens to be there: after writing them, or to drop the rest.
    void set_tokens(size_t n) { tokens_ = n; }
    /// Writes one head's keys of the tokens at … at + n: x is float [n][kv_heads][dk] with tokens `stride`
    /// bytes apart. Threads may write different heads at the same time.
    void write_keys(uint32_t layer, uint32_t head, size_t at, size_t n, const uint8_t* x, size_t stride) {
        write(0, layer, head, shape_.dk, at, n, x, stride);
    }
    void write_values(uint32_t layer, uint32_t head, size_t at, size_t n, const uint8_t* x, size_t stride) {
        write(shape_.key_bytes(), layer, head, shape_.dv, at, n, x, stride);
    }
    /// Where a token lies, for who copies it there.
    uint8_t* slot(uint32_t layer, uint32_t head, size_t token) const {
        return slots_[layer * shape_.kv_heads + head].get() + token * shape_.slot_bytes();
    }
    /// The first n tokens, whether or not they are declared yet.
    KvRun run(uint32_t layer, uint32_t head, size_t n) const {
        return {slots_[layer * shape_.kv_heads + head].get(), n};
    }

  private:
    void write(size_t offset, uint32_t layer, uint32_t head, uint32_t d, size_t at, size_t n,
               const uint8_t* x, size_t stride);

    KvShape shape_;
    size_t tokens_ = 0, capacity_ = 0;
    std::vector<AlignedBytes> slots_; ///< [layers * kv_heads] of [capacity]
};

} // namespace wave
