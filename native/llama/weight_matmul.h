// Products with the model's weights, for passes of many tokens or of one: llama.cpp's nodes become ours where
// our kernel knows the weights' format.
#pragma once

#include "../kernels/matmul.h"
#include "../wave/kv.h"
#include "weight_file.h"

#include <atomic>
#include <ggml.h>
#include <vector>

namespace repowave {

/// One product at a time, by all threads of ggml's pool together.
class WeightMatmul {
  public:
    /// @param file the model's, outlives this
    WeightMatmul(const WeightFile& file, int threads);

    /// Whether `run` can compute the node. If so, memory is set aside for it.
    bool takes(const ggml_tensor* node);
    /// Called by each of `threads` threads; ggml lets none go on to the next node before all are back.
    void run(const ggml_tensor* node, int thread, int threads);
    /// Whether weights could not be read since the last call: what was computed is worth nothing.
    bool failed() { return failed_.exchange(false); }

  private:
    void pack_tokens(const ggml_tensor* x, wave::WeightFormat format);
    void multiply_panels(const ggml_tensor* node, wave::WeightFormat format, int thread, int threads);
    const uint8_t* rows_of(const ggml_tensor* weights, int64_t first, uint8_t* memory);
    void reserve(const ggml_tensor* weights, const ggml_tensor* x);

    const WeightFile& file_;
    const wave::MatmulKernels* kernels_;
    wave::PackedTokens packed_{};
    wave::AlignedBytes packed_memory_;
    size_t packed_capacity_ = 0; ///< activations
    struct Scratch {
        wave::AlignedBytes rows; ///< of a panel, read from the file
        wave::AlignedBytes panel;
    };
    std::vector<Scratch> scratch_; ///< [threads]
    size_t row_bytes_ = 0;
    int columns_ = 0;
    std::atomic<bool> failed_{false};
    /// Tokens handed out and packed, panels handed out, threads that are through.
    std::atomic<int64_t> next_tokens_{0}, packed_tokens_{0}, next_panel_{0}, through_{0};
};

} // namespace repowave
