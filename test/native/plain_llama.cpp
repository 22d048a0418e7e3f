// llama.cpp as it is, for comparison: runs tokens through a model with llama.cpp's own attention and K/V cache.
//
//   plain_llama logits MODEL OUT TOKEN…          float32 logits after each of the last 8 tokens, F32 K/V, no flash attention
//   plain_llama greedy MODEL COUNT TOKEN…        prints COUNT greedy tokens and, for each, the lead over the runner-up
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ggml-backend.h>
#include <llama.h>
#include <string>
#include <vector>

namespace {

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
    if (std::strcmp(argv[1], "logits") == 0) return dump_logits(argv[2], argv[3], tokens);
    if (std::strcmp(argv[1], "greedy") == 0) return print_greedy(argv[2], std::atoi(argv[3]), tokens);
    return 2;
}
