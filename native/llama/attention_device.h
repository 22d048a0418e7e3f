// Where a GPU computes llama.cpp's weights, its writes into the K/V cache and its attention still have to
// come to the processor's backend, which alone runs custom operations: ggml would give attention to the GPU.
// So a device of our own goes before the GPU. It wants these two kinds of nodes and nothing else, and its
// backend is one of the processor. What its nodes read and write lies in the host's memory or, where
// attention can be computed on the same GPU, in the GPU's: then ggml copies nothing.
#pragma once

#include <ggml-backend.h>
#include <ggml-cpu.h>
#include <memory>

namespace repowave {

class AttentionDevice {
  public:
    /// @param gpu that the weights are on @param shared whether its nodes are given the GPU's memory. Throws
    /// std::runtime_error where llama.cpp is of another release than this was built for
    AttentionDevice(ggml_backend_dev_t gpu, bool shared);
    ~AttentionDevice();
    AttentionDevice(const AttentionDevice&) = delete;
    AttentionDevice& operator=(const AttentionDevice&) = delete;

    /// To be given to llama.cpp before the GPU, with no share of the weights.
    ggml_backend_dev_t get() const;
    bool is_shared() const;
    /// Backends that are opened from now on compute in this pool, which outlives them.
    void set_threads(ggml_threadpool* pool);

  private:
    struct Device;
    std::unique_ptr<Device> device_;
};

/// Functions of ggml's CPU backend are only to be had by name: it is a plug-in. Throws std::runtime_error.
void* cpu_function(const char* name);

} // namespace repowave
