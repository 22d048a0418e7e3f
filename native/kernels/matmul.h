// Products of a model's quantised weights with many tokens at once, what reading a repository spends its time
// on, and with one, what an answer does. No dependency; for processors with AVX-512 VNNI, others have none.
#pragma once

#include <cstddef>
#include <cstdint>

namespace wave {

/// How the weights of a GGUF file are kept; the names and layouts are those of ggml-common.h.
enum class WeightFormat { q4_1, q5_0, q5_1, q8_0, q4_K, q5_K, q6_K };

/// Rows of weights that are multiplied together.
constexpr int kPanelRows = 32;
/// Activations that share a scale.
constexpr int kActivationBlock = 32;

struct WeightPanel {
    WeightFormat format;
    const uint8_t* rows; ///< [kPanelRows], each `columns` weights
    size_t stride;       ///< bytes from one row to the next
    int columns;         ///< a multiple of values_per_block(format)
};

/// Activations x as 8-bit integers q with x = scale * q.
struct PackedTokens {
    int8_t* values; ///< [tokens][columns]
    float* scales;  ///< [tokens][columns / kActivationBlock]
    float* sums;    ///< [tokens][columns / values_per_scale(format)], of scale * q
};

struct MatmulKernels {
    /// Packs token `token`, x[columns], for weights of that format.
    void (*pack)(const float* x, int columns, WeightFormat format, const PackedTokens& to, size_t token);
    /// out[t][r] = weights[r] . tokens[t] for t < tokens, rows out_stride floats apart.
    /// `scratch`: matmul_scratch_bytes(columns), 64-byte aligned.
    void (*multiply)(const WeightPanel& weights, const PackedTokens& tokens, size_t count, float* out,
                     size_t out_stride, uint8_t* scratch);
};

/// Weights of one block of the file's layout.
constexpr int values_per_block(WeightFormat format) {
    return format >= WeightFormat::q4_K ? 256 : 32;
}
/// Weights that share a scale.
constexpr int values_per_scale(WeightFormat format) {
    return format == WeightFormat::q6_K ? 16 : 32;
}

/// Whether one token alone is multiplied without unpacking the weights first.
constexpr bool multiplies_one(WeightFormat format) {
    return values_per_block(format) == 32;
}

/// A panel's weights in bytes, and as many as two floats for every 16 of them.
inline size_t matmul_scratch_bytes(int columns) {
    const size_t weights = static_cast<size_t>(columns) * kPanelRows;
    return weights + weights / 16 * 2 * sizeof(float);
}

/// Null when this processor has none, or when REPOWAVE_ISA asks for another set than avx512.
const MatmulKernels* matmul_kernels();

} // namespace wave
