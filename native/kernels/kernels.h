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
    const void* k;             ///< [keys][dk], rows k_stride apart
    const void* v;             ///< [keys][dv], rows v_stride apart
    size_t k_stride, v_stride; ///< elements from one row to the next
    int keys;
    const uint32_t* index; ///< null, or [keys]: the i-th key is row index[i] of k and v
    float bias;            ///< added to every logit
    const float* biases;   ///< null, or [keys]: added too
    float soft_cap;        ///< 0, or logits become soft_cap * tanh(logit / soft_cap) before the biases
    int first_visible;     ///< row r sees the keys before first_visible + r / group: the causal edge
    int first_key;         ///< ... and from first_key + r / group on: a sliding window; kNoWindow for all
    int group;
    float* m;             ///< [rows] running maximum of the logits, -inf at the start
    float* l;             ///< [rows] running sum of exp(logit - m)
    float* o;             ///< [rows][dv] running sum of exp(logit - m) * v
    float* logits;        ///< null, or where to keep the logits of visible keys: [rows][logits_stride]
    size_t logits_stride; ///< floats
    float* scratch;       ///< attend_scratch_floats(rows, dk, dv), 64-byte aligned
};

/// first_key of a run that is seen from its beginning.
constexpr int kNoWindow = -(1 << 30);

/// logits[r][i] = soft_cap(q[r] . k[i]): what a selection is made from.
struct ScoreBlock {
    const float* q; ///< [rows][dk], multiplied by the softmax scale
    int rows, dk;
    DType type;
    const void* k; ///< [keys][dk], rows k_stride elements apart
    size_t k_stride;
    int keys;
    float soft_cap;
    float* logits; ///< [rows][stride], of which stride - keys rounded up to kTileKeys may be overwritten
    size_t stride;
    float* scratch; ///< attend_scratch_floats(rows, dk, 0), 64-byte aligned
};

/// An online softmax over logits that are there already: with biases = log(cluster size), logits of centroids
/// and v = mean values this is the estimation of RetroInfer, section 4.2, equation 4.
struct WeighBlock {
    const float* logits; ///< [rows][stride]; -inf hides a key from a row
    size_t stride;
    int rows, keys;
    float bias;
    const float* biases; ///< null, or [keys]
    DType type;
    const void* v;    ///< [keys][dv]
    int dv;           ///< a multiple of 16, or 0: only m and l
    float *m, *l, *o; ///< as in AttendBlock
    float* scratch;   ///< attend_scratch_floats(rows, 0, dv), 64-byte aligned
};

struct Kernels {
    const char* isa;
    /// Advances (m, l, o) over the run.
    void (*attend)(const AttendBlock& block);
    void (*score)(const ScoreBlock& block);
    /// Advances (m, l, o) over the keys.
    void (*weigh)(const WeighBlock& block);
    /// Rounds to half precision, to nearest even. n is any number.
    void (*to_f16)(const float* x, uint16_t* y, size_t n);
    void (*from_f16)(const uint16_t* x, float* y, size_t n);
    /// y[i] = mean[i] + step * steps[i], of signed steps; mean and y are of `type`. n is a multiple of 16.
    /// From the first to the last, so that the steps may be the last bytes of y's memory.
    void (*from_steps)(const uint8_t* steps, float step, DType type, const void* mean, void* y, size_t n);
    /// mass[i] += exp(logits[i] + biases[i] - m) / l for i < n; biases may be null
    void (*add_mass)(const float* logits, const float* biases, float m, float l, float* mass, size_t n);
    /// c[i][j] = a[i] . b[j]: a is [rows][d], bt is [d][columns], c is [rows][columns]. columns is a multiple
    /// of 16.
    void (*multiply)(const float* a, int rows, const float* bt, int columns, int d, float* c);
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
