// Products with the model's weights, for passes of many tokens: llama.cpp's nodes become ours where our kernel
// knows the weights' format and finds them as they lie in the file.
#pragma once

#include "../kernels/matmul.h"
#include "../wave/kv.h"

#include <atomic>
#include <ggml.h>
#include <vector>

namespace repowave {

/// One product at a time, by all threads of ggml's pool together.
class WeightMatmul {
  public:
    explicit WeightMatmul(int threads);

    /// Whether `run` can compute the node. If so, memory is set aside for it.
    bool takes(const ggml_tensor* node);
    /// Called by each of `threads` threads; ggml lets none go on to the next node before all are back.
    void run(const ggml_tensor* node, int thread, int threads);

  private:
    void pack_tokens(const ggml_tensor* x, wave::WeightFormat format);
    void multiply_panels(const ggml_tensor* node, wave::WeightFormat format, int thread);

    const wave::MatmulKernels* kernels_;
    wave::PackedTokens packed_{};
    wave::AlignedBytes packed_memory_;
    size_t packed_capacity_ = 0; ///< activations
    std::vector<wave::AlignedBytes> scratch_; ///< [threads]
    int scratch_columns_ = 0;
    /// Tokens handed out and packed, panels handed out, threads that are through.
    std::atomic<int64_t> next_tokens_{0}, packed_tokens_{0}, next_panel_{0}, through_{0};
};

} // namespace repowave
