// The arithmetic of attention, once per instruction set, chosen at run time. No dependency.
#pragma once

#include <cstddef>
#include <cstdint>

namespace wave {

/// How the elements of stored K and V are kept.
enum class DType : uint32_t { f16 = 0, f32 = 1 };

inline size_t dtype_size(DType type) {
    return type == DType::f16 ? 2 : 4;
}

/// Keys that one pass of the inner loops covers; the unit of scratch memory.
constexpr int kTileKeys = 64;

/// Working memory of one thread for `attend`, in floats.
inline size_t attend_scratch_floats(int rows, int dk, int dv) {
    return static_cast<size_t>(kTileKeys) * (dk + dv + rows);
}

/// A block of query rows against a run of keys, one step of an online softmax (Milakov and Gimelshein 2018;
/// the blocking is FlashAttention's, Dao et al. 2022).
struct AttendBlock {
    const float* q; ///< [rows][dk], multiplied by the softmax scale
    int rows;
    int dk; ///< a multiple of 16
    int dv; ///< a multiple of 16
    DType type;
    const void* k; ///< [keys][dk]
    const void* v; ///< [keys][dv]
    int keys;
    float bias;        ///< added to every logit of the run
    int first_visible; ///< row r sees the keys before first_visible + r / group: the causal edge
    int group;
    float* m;             ///< [rows] running maximum of the logits, -inf at the start
    float* l;             ///< [rows] running sum of exp(logit - m)
    float* o;             ///< [rows][dv] running sum of exp(logit - m) * v
    float* logits;        ///< null, or where to keep the logits: [rows][logits_stride]
    size_t logits_stride; ///< floats
    float* scratch;       ///< attend_scratch_floats(rows, dk, dv), 64-byte aligned
};

struct Kernels {
    const char* isa;
    /// Advances (m, l, o) over the run.
    void (*attend)(const AttendBlock& block);
    /// Rounds to half precision, to nearest even. n is any number.
    void (*to_f16)(const float* x, uint16_t* y, size_t n);
    /// mass[i] += exp(logits[i] - m) / l for i < n
    void (*add_mass)(const float* logits, float m, float l, float* mass, size_t n);
};

extern const Kernels kernels_scalar;
#if defined(__x86_64__)
extern const Kernels kernels_avx2;
extern const Kernels kernels_avx512;
#endif

/// The fastest kernels that this processor runs; the environment variable REPOWAVE_ISA (scalar, avx2, avx512)
/// asks for slower ones.
const Kernels& kernels();

/// The kernels of that name, or null when this processor cannot run them.
const Kernels* kernels_named(const char* isa);

} // namespace wave
