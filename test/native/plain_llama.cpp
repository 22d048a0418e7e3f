// llama.cpp as it is, for comparison: writes small random models, and runs tokens through a model with llama.cpp's
// own attention and K/V cache.
//
//   plain_llama write ARCHITECTURE FILE          a model of 4 layers, F32 weights; ARCHITECTURE llama, qwen2 or qwen3
//   plain_llama logits MODEL OUT TOKEN…          float32 logits after each of the last 8 tokens, F32 K/V, no flash attention
//   plain_llama greedy MODEL COUNT TOKEN…        prints COUNT greedy tokens and, for each, the lead over the runner-up
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ggml-backend.h>
#include <gguf.h>
#include <llama.h>
#include <random>
#include <string>
#include <vector>

namespace {

struct Writer {
    std::string arch;
    gguf_context* gguf = gguf_init_empty();
    std::mt19937 random{1};
    std::vector<std::vector<float>> data;

    void number(const char* key, uint32_t value) { gguf_set_val_u32(gguf, (arch + key).c_str(), value); }
    void real(const char* key, float value) { gguf_set_val_f32(gguf, (arch + key).c_str(), value); }

    /// A tensor of normal deviates; rows 0 makes it one-dimensional.
    void tensor(const std::string& name, int64_t columns, int64_t rows, float deviation, float mean = 0) {
        ggml_context* context = ggml_init({2 * ggml_tensor_overhead(), nullptr, true});
        ggml_tensor* tensor = rows ? ggml_new_tensor_2d(context, GGML_TYPE_F32, columns, rows)
                                   : ggml_new_tensor_1d(context, GGML_TYPE_F32, columns);
        ggml_set_name(tensor, name.c_str());
        std::normal_distribution<float> normal(mean, deviation);
        std::vector<float>& values = data.emplace_back(columns * std::max<int64_t>(rows, 1));
        for (float& value : values) value = normal(random);
        gguf_add_tensor(gguf, tensor);
        gguf_set_tensor_data(gguf, name.c_str(), values.data());
        ggml_free(context);
    }
};

int write_model(const std::string& arch, const char* file) {
    constexpr int layers = 4, heads = 4, kv_heads = 2, d = 64, width = 256, inner = 512, vocabulary = 512;
    Writer w{arch};
    gguf_set_val_str(w.gguf, "general.architecture", arch.c_str());
    gguf_set_val_str(w.gguf, "tokenizer.ggml.model", "no_vocab");
    w.number(".vocab_size", vocabulary), w.number(".context_length", 8192), w.number(".embedding_length", width);
    w.number(".block_count", layers), w.number(".feed_forward_length", inner), w.number(".rope.dimension_count", d);
    w.number(".attention.head_count", heads), w.number(".attention.head_count_kv", kv_heads);
    w.number(".attention.key_length", d), w.number(".attention.value_length", d);
    w.real(".attention.layer_norm_rms_epsilon", 1e-5f), w.real(".rope.freq_base", 10000.0f);
    const float unit = 1.0f / std::sqrt(static_cast<float>(width));
    w.tensor("token_embd.weight", width, vocabulary, 1.0f);
    w.tensor("output_norm.weight", width, 0, 0.1f, 1.0f);
    w.tensor("output.weight", width, vocabulary, unit);
    for (int layer = 0; layer < layers; layer++) {
        const std::string b = "blk." + std::to_string(layer) + ".";
        w.tensor(b + "attn_norm.weight", width, 0, 0.1f, 1.0f);
        w.tensor(b + "attn_q.weight", width, heads * d, 2 * unit);
        w.tensor(b + "attn_k.weight", width, kv_heads * d, 2 * unit);
        w.tensor(b + "attn_v.weight", width, kv_heads * d, unit);
        if (arch == "qwen2") {
            w.tensor(b + "attn_q.bias", heads * d, 0, 0.5f);
            w.tensor(b + "attn_k.bias", kv_heads * d, 0, 0.5f);
            w.tensor(b + "attn_v.bias", kv_heads * d, 0, 0.5f);
        }
        if (arch == "qwen3") {
            w.tensor(b + "attn_q_norm.weight", d, 0, 0.1f, 1.5f);
            w.tensor(b + "attn_k_norm.weight", d, 0, 0.1f, 1.5f);
        }
        w.tensor(b + "attn_output.weight", heads * d, width, 2.0f / std::sqrt(static_cast<float>(heads * d)));
        w.tensor(b + "ffn_norm.weight", width, 0, 0.1f, 1.0f);
        w.tensor(b + "ffn_gate.weight", width, inner, unit);
        w.tensor(b + "ffn_up.weight", width, inner, unit);
        w.tensor(b + "ffn_down.weight", inner, width, 1.0f / std::sqrt(static_cast<float>(inner)));
    }
    const bool written = gguf_write_to_file(w.gguf, file, false);
    gguf_free(w.gguf);
    return written ? 0 : 1;
}

struct Run {
    llama_model* model;
    llama_context* context;
    int vocabulary;

    Run(const char* file, bool exact) {
        llama_log_set([](ggml_log_level, const char*, void*) {}, nullptr);
        ggml_backend_load_all_from_path(std::getenv("LLAMA_LIBRARIES"));
        llama_model_params m = llama_model_default_params();
        m.n_gpu_layers = 0;
        model = llama_model_load_from_file(file, m);
        llama_context_params c = llama_context_default_params();
        c.n_ctx = 4096, c.n_batch = c.n_ubatch = 512, c.n_threads = c.n_threads_batch = 2;
        c.flash_attn_type = exact ? LLAMA_FLASH_ATTN_TYPE_DISABLED : LLAMA_FLASH_ATTN_TYPE_ENABLED;
        if (exact) c.type_k = c.type_v = GGML_TYPE_F32;
        context = model ? llama_init_from_model(model, c) : nullptr;
        if (!context) std::exit(3);
        vocabulary = llama_vocab_n_tokens(llama_model_get_vocab(model));
    }

    const float* decode(llama_token* tokens, int n) {
        for (int i = 0; i < n; i += 512)
            if (llama_decode(context, llama_batch_get_one(tokens + i, std::min(512, n - i))) != 0) std::exit(4);
        return llama_get_logits_ith(context, -1);
    }
};

int dump_logits(const char* file, const char* out, std::vector<llama_token> tokens) {
    Run run(file, true);
    std::FILE* to = std::fopen(out, "wb");
    if (!to) return 5;
    const int first = static_cast<int>(tokens.size()) - 7;
    for (int i = 0; i < 8; i++) {
        const float* logits = i == 0 ? run.decode(tokens.data(), first) : run.decode(&tokens[first + i - 1], 1);
        std::fwrite(logits, sizeof(float), run.vocabulary, to);
    }
    return std::fclose(to);
}

int print_greedy(const char* file, int count, std::vector<llama_token> tokens) {
    Run run(file, false);
    const float* logits = run.decode(tokens.data(), static_cast<int>(tokens.size()));
    for (int i = 0; i < count; i++) {
        int best = 0, second = 1;
        for (int t = 0; t < run.vocabulary; t++) {
            if (logits[t] > logits[best]) second = best, best = t;
            else if (t != best && logits[t] > logits[second]) second = t;
        }
        std::printf("%d %g\n", best, logits[best] - logits[second]);
        logits = run.decode(&best, 1);
    }
    return 0;
}

} // namespace

int main(int argc, char** argv) {
    if (argc < 4) return 2;
    std::vector<llama_token> tokens;
    for (int i = 4; i < argc; i++) tokens.push_back(std::atoi(argv[i]));
    if (std::strcmp(argv[1], "write") == 0) return write_model(argv[2], argv[3]);
    if (std::strcmp(argv[1], "logits") == 0) return dump_logits(argv[2], argv[3], tokens);
    if (std::strcmp(argv[1], "greedy") == 0) return print_greedy(argv[2], std::atoi(argv[3]), tokens);
    return 2;
}
