// The weights, tokenizer and chat template of one GGUF file, through llama.cpp.
#pragma once

#include "../wave/kv.h"
#include "attention_device.h"
#include "weight_file.h"

#include <functional>
#include <llama.h>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace repowave {

/// The file cannot be read as a model.
struct ModelCorrupt : std::runtime_error {
    using runtime_error::runtime_error;
};
/// A model whose attention is not ours to replace.
struct ModelUnsupported : std::runtime_error {
    using runtime_error::runtime_error;
};

/// The weights cannot be on a GPU, and why; on the processor they may.
struct GpuProblem : std::runtime_error {
    using runtime_error::runtime_error;
};

/// Loads ggml's CPU backends from `directory`, once per process, and sends llama.cpp's log to memory.
void initialize_llama(const std::string& directory);
/// What llama.cpp complained about first since a model was last loaded; for error messages.
std::string llama_error();

/// The first GPU of one of llama.cpp's plug-ins, such as libggml-cuda.so, which stays for the life of the
/// process. Throws GpuProblem.
ggml_backend_dev_t open_gpu(const std::string& plugin);

struct Tokens {
    std::vector<llama_token> tokens;
    std::vector<uint32_t> ends; ///< end of each token in bytes of the text, never decreasing
};

struct ChatMessage {
    std::string role, content;
};

class Model {
  public:
    /// Blocks while loading; `on_progress` gets a share from 0 to 1. @param gpu null, or where all weights go
    /// @param shared see AttentionDevice. Throws ModelCorrupt, ModelUnsupported; GpuProblem, also for a file
    /// that is at fault.
    Model(const std::string& path, const std::function<void(float)>& on_progress, ggml_backend_dev_t gpu,
          bool shared);
    ~Model();
    Model(const Model&) = delete;
    Model& operator=(const Model&) = delete;

    llama_model* get() const { return model_; }
    const llama_vocab* vocab() const { return llama_model_get_vocab(model_); }
    const WeightFile& weight_file() const { return weight_file_; }
    /// The name of the GPU that has the weights; empty when the processor has.
    std::string gpu() const { return gpu_ ? ggml_backend_dev_description(gpu_) : ""; }
    /// Where attention comes to; null when the processor has the weights.
    AttentionDevice* attention_device() const { return attention_device_.get(); }
    /// With the type f16.
    const wave::KvShape& kv_shape() const { return shape_; }
    int query_heads() const { return llama_model_n_head(model_); }
    std::string architecture() const { return metadata("general.architecture"); }
    std::string description() const;

    /// `special`: whether `<|im_start|>` and the like become control tokens.
    Tokens tokenize(const std::string& text, bool special) const;
    /// The bytes of a token; empty for control tokens unless `special`.
    std::string piece(llama_token token, bool special) const;
    /// The conversation in the model's own template (ChatML where it has none that llama.cpp knows), with the
    /// assistant's turn opened and the token that begins a text where the model wants one.
    std::string apply_chat_template(const std::vector<ChatMessage>& messages) const;

  private:
    std::string metadata(const std::string& key) const;
    void check_supported() const;

    ggml_backend_dev_t gpu_;
    std::unique_ptr<AttentionDevice> attention_device_;
    llama_model* model_ = nullptr;
    WeightFile weight_file_;
    wave::KvShape shape_;
};

} // namespace repowave
