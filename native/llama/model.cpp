#include "model.h"

#include <algorithm>
#include <array>
#include <ggml-backend.h>
#include <map>
#include <mutex>

namespace repowave {
namespace {

std::mutex log_mutex;
std::string first_error; ///< since forget_errors(): what follows it only says that something failed

void keep_error(ggml_log_level level, const char* text, void*) {
    if (level != GGML_LOG_LEVEL_ERROR) return;
    const std::lock_guard lock(log_mutex);
    if (!first_error.empty()) return;
    first_error.assign(text);
    while (!first_error.empty() && first_error.back() == '\n') first_error.pop_back();
}

void forget_errors() {
    const std::lock_guard lock(log_mutex);
    first_error.clear();
}

bool forward_progress(float share, void* callback) {
    (*static_cast<const std::function<void(float)>*>(callback))(share);
    return true;
}

} // namespace

void initialize_llama(const std::string& directory) {
    static std::once_flag once;
    std::call_once(once, [&] {
        llama_log_set(keep_error, nullptr);
        ggml_backend_load_all_from_path(directory.c_str());
    });
}

std::string llama_error() {
    const std::lock_guard lock(log_mutex);
    return first_error;
}

ggml_backend_dev_t open_gpu(const std::string& plugin) {
    static std::mutex mutex;
    static std::map<std::string, ggml_backend_reg_t> opened;
    const std::lock_guard lock(mutex);
    ggml_backend_reg_t& found = opened[plugin];
    forget_errors();
    if (!found) found = ggml_backend_load(plugin.c_str());
    if (!found) throw GpuProblem("llama.cpp's part for GPUs does not load: " + llama_error());
    for (size_t i = 0; i < ggml_backend_reg_dev_count(found); i++) {
        ggml_backend_dev_t device = ggml_backend_reg_dev_get(found, i);
        const auto type = ggml_backend_dev_type(device);
        if (type == GGML_BACKEND_DEVICE_TYPE_GPU || type == GGML_BACKEND_DEVICE_TYPE_IGPU) return device;
    }
    throw GpuProblem("llama.cpp's part for GPUs finds none");
}

Model::Model(const std::string& path, const std::function<void(float)>& on_progress, ggml_backend_dev_t gpu,
             bool shared)
    : gpu_(gpu), weight_file_(path) {
    llama_model_params params = llama_model_default_params();
    std::array<ggml_backend_dev_t, 3> devices{};
    std::vector<float> shares(llama_max_devices());
    if (gpu) {
        attention_device_ = std::make_unique<AttentionDevice>(gpu, shared);
        devices = {attention_device_->get(), gpu};
        shares[1] = 1;
        params.tensor_split = shares.data();
    } else {
        params.n_gpu_layers = 0;
    }
    params.devices = devices.data();
    params.progress_callback = forward_progress;
    params.progress_callback_user_data = const_cast<std::function<void(float)>*>(&on_progress);
    forget_errors();
    if (!ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU))
        throw std::runtime_error("llama.cpp's libraries for this processor are missing or do not load");
    model_ = llama_model_load_from_file(path.c_str(), params);
    if (!model_ && gpu) throw GpuProblem(llama_error());
    if (!model_) throw ModelCorrupt(llama_error());
    try {
        const auto number = [&](const char* key, int fallback) {
            const std::string value = metadata(architecture() + key);
            return value.empty() ? fallback : std::stoi(value);
        };
        const int head_size = llama_model_n_embd(model_) / std::max(1, llama_model_n_head(model_));
        shape_.layers = llama_model_n_layer(model_);
        shape_.kv_heads = llama_model_n_head_kv(model_);
        shape_.dk = number(".attention.key_length", head_size);
        shape_.dv = number(".attention.value_length", head_size);
        check_supported();
    } catch (...) {
        llama_model_free(model_);
        throw;
    }
}

Model::~Model() {
    llama_model_free(model_);
}

void Model::check_supported() const {
    const std::string name = architecture();
    if (llama_model_is_recurrent(model_) || llama_model_is_hybrid(model_))
        throw ModelUnsupported(name + " keeps a recurrent state instead of K and V");
    if (llama_model_has_encoder(model_) || llama_model_is_diffusion(model_) ||
        !llama_model_has_decoder(model_))
        throw ModelUnsupported(name + " is not a decoder that writes text from left to right");
    if (name == "llama4") throw ModelUnsupported(name + " attends in chunks");
    if (shape_.kv_heads == 0 || query_heads() % static_cast<int>(shape_.kv_heads) != 0)
        throw ModelUnsupported(name + " has no plain grouped-query attention");
    if (shape_.dk % 16 != 0 || shape_.dv % 16 != 0)
        throw ModelUnsupported(name + " has heads of size " + std::to_string(shape_.dk) +
                               ", not a multiple of 16");
}

std::string Model::metadata(const std::string& key) const {
    char value[256];
    return llama_model_meta_val_str(model_, key.c_str(), value, sizeof value) >= 0 ? value : "";
}

std::string Model::description() const {
    char text[256];
    llama_model_desc(model_, text, sizeof text);
    return text;
}

std::string Model::piece(llama_token token, bool special) const {
    std::string bytes(32, '\0');
    int n = llama_token_to_piece(vocab(), token, bytes.data(), static_cast<int>(bytes.size()), 0, special);
    if (n < 0) {
        bytes.resize(-n);
        n = llama_token_to_piece(vocab(), token, bytes.data(), static_cast<int>(bytes.size()), 0, special);
    }
    bytes.resize(std::max(n, 0));
    return bytes;
}

Tokens Model::tokenize(const std::string& text, bool special) const {
    Tokens result;
    const int length = static_cast<int>(text.size());
    result.tokens.resize(text.size() / 3 + 16);
    int n = llama_tokenize(vocab(), text.data(), length, result.tokens.data(),
                           static_cast<int>(result.tokens.size()), false, special);
    if (n < 0) {
        result.tokens.resize(-n);
        n = llama_tokenize(vocab(), text.data(), length, result.tokens.data(), -n, false, special);
    }
    result.tokens.resize(std::max(n, 0));
    size_t end = 0;
    for (const llama_token token : result.tokens)
        result.ends.push_back(static_cast<uint32_t>(end += piece(token, true).size()));
    // Some tokenizers put a space before the text that the text does not have.
    const size_t surplus = end > text.size() ? end - text.size() : 0;
    for (uint32_t& each : result.ends) each = static_cast<uint32_t>(each > surplus ? each - surplus : 0);
    return result;
}

std::string Model::apply_chat_template(const std::vector<ChatMessage>& messages) const {
    std::vector<llama_chat_message> chat;
    size_t size = 1024;
    for (const ChatMessage& message : messages) {
        chat.push_back({message.role.c_str(), message.content.c_str()});
        size += 2 * (message.role.size() + message.content.size());
    }
    const char* own = llama_model_chat_template(model_, nullptr);
    std::string text(size, '\0');
    int n = -1;
    for (const char* which : {own, "chatml"}) {
        if (!which || n >= 0) continue;
        n = llama_chat_apply_template(which, chat.data(), chat.size(), true, text.data(),
                                      static_cast<int>(size));
        if (n > static_cast<int>(text.size())) {
            text.resize(n);
            n = llama_chat_apply_template(which, chat.data(), chat.size(), true, text.data(), n);
        }
    }
    text.resize(std::max(n, 0));
    const llama_token bos = llama_vocab_bos(vocab());
    if (bos != LLAMA_TOKEN_NULL && llama_vocab_get_add_bos(vocab())) {
        const std::string begin = piece(bos, true);
        if (text.compare(0, begin.size(), begin) != 0) text.insert(0, begin);
    }
    return text;
}

} // namespace repowave
