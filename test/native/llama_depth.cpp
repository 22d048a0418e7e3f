// llama.cpp's own decode speed behind a context that would take hours to prefill: the K/V cache is filled through a
// saved state. Some tokens are really computed, and their cells repeated, each in memory of its own, up to the depth.
//
//   llama_depth MODEL DEPTH TOKENS REPEATS THREADS      prints {"samples": [tokens per second, ...]}
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ggml-backend.h>
#include <ggml-cpu.h>
#include <llama.h>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace {

constexpr const char* kVersion = "0.5.0"; // whose format of saved states this program knows
constexpr int kComputed = 512;

/// The same tokens in every run, those of test/bench/ours.ts.
struct Tokens {
    uint32_t vocabulary, state = 1;
    llama_token next() {
        state = state * 1664525 + 1013904223;
        return static_cast<llama_token>(state / 4294967296.0 * vocabulary);
    }
};

/// Copies a saved state, with other numbers of cells.
class Copier {
  public:
    Copier(const std::vector<uint8_t>& from, std::vector<uint8_t>& to) : from_(from), to_(to) {}

    template <class T> T skip() {
        T value;
        std::memcpy(&value, take(sizeof value), sizeof value);
        return value;
    }
    template <class T> void put(T value) {
        const auto* bytes = reinterpret_cast<const uint8_t*>(&value);
        to_.insert(to_.end(), bytes, bytes + sizeof value);
    }
    template <class T> T copy() {
        const T value = skip<T>();
        put(value);
        return value;
    }
    /// `have` rows become `want`.
    void repeat_rows(size_t row, size_t have, size_t want) {
        const uint8_t* rows = take(row * have);
        for (size_t done = 0; done < want; done += have)
            to_.insert(to_.end(), rows, rows + row * std::min(have, want - done));
    }
    bool at_end() const { return at_ == from_.size(); }

  private:
    const uint8_t* take(size_t n) {
        if (n > from_.size() - at_) throw std::runtime_error("the saved state is shorter than its format says");
        return from_.data() + std::exchange(at_, at_ + n);
    }

    const std::vector<uint8_t>& from_;
    std::vector<uint8_t>& to_;
    size_t at_ = 0;
};

/// The saved state of one sequence in one cache (llama_kv_cache::state_write), its cells repeated up to `depth`.
std::vector<uint8_t> repeat_cells(const std::vector<uint8_t>& state, uint32_t depth) {
    std::vector<uint8_t> result;
    result.reserve(state.size() / kComputed * (depth + kComputed));
    Copier copier(state, result);
    copier.copy<uint32_t>(); // magic
    copier.copy<int32_t>();  // sequence
    const uint32_t streams = copier.copy<uint32_t>(), cells = copier.skip<uint32_t>();
    if (streams != 1 || cells != kComputed) throw std::runtime_error("this model keeps its K/V in another way");
    copier.put(depth);
    for (uint32_t cell = 0; cell < cells; cell++) {
        copier.skip<int32_t>(); // position
        if (copier.skip<uint32_t>() != 1 || copier.skip<int32_t>() != 0)
            throw std::runtime_error("a cell of another sequence");
    }
    for (uint32_t cell = 0; cell < depth; cell++) copier.put<int32_t>(cell), copier.put<uint32_t>(1), copier.put<int32_t>(0);
    const uint32_t transposed = copier.copy<uint32_t>(), layers = copier.copy<uint32_t>();
    if (transposed) throw std::runtime_error("values are transposed: flash attention is off");
    for (uint32_t part = 0; part < 2 * layers; part++) { // all keys, then all values
        if (copier.copy<int32_t>() != GGML_TYPE_F16) throw std::runtime_error("a cache that is not F16");
        copier.repeat_rows(copier.copy<uint64_t>(), cells, depth);
    }
    if (!copier.at_end()) throw std::runtime_error("this model keeps its K/V in another way");
    return result;
}

/// A context with the thread pool that llama-bench gives it.
llama_context* make_context(llama_model* model, uint32_t cells, int threads) {
    llama_context_params params = llama_context_default_params();
    params.n_ctx = cells, params.n_threads = params.n_threads_batch = threads;
    params.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_ENABLED;
    params.type_k = params.type_v = GGML_TYPE_F16;
    llama_context* context = llama_init_from_model(model, params);
    if (!context) throw std::runtime_error("no memory for the context");
    ggml_backend_reg_t cpu = ggml_backend_dev_backend_reg(ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU));
    const auto make_pool = reinterpret_cast<decltype(&ggml_threadpool_new)>(
        ggml_backend_reg_get_proc_address(cpu, "ggml_threadpool_new"));
    ggml_threadpool_params pool = ggml_threadpool_params_default(threads);
    llama_attach_threadpool(context, make_pool(&pool), nullptr);
    return context;
}

/// The last token's greedy successor, which the caller drops, as the bench of ours does.
llama_token decode(llama_context* context, llama_token* tokens, int n, int vocabulary) {
    if (llama_decode(context, llama_batch_get_one(tokens, n)) != 0) throw std::runtime_error("llama_decode failed");
    const float* logits = llama_get_logits_ith(context, -1);
    return static_cast<llama_token>(std::max_element(logits, logits + vocabulary) - logits);
}

void fill(llama_context* context, Tokens& tokens, uint32_t depth) {
    std::vector<llama_token> computed(kComputed);
    for (llama_token& token : computed) token = tokens.next();
    decode(context, computed.data(), kComputed, static_cast<int>(tokens.vocabulary));
    std::vector<uint8_t> state(llama_state_seq_get_size(context, 0));
    if (llama_state_seq_get_data(context, state.data(), state.size(), 0) != state.size())
        throw std::runtime_error("the state could not be saved");
    const std::vector<uint8_t> filled = repeat_cells(state, depth);
    if (llama_state_seq_set_data(context, filled.data(), filled.size(), 0) != filled.size() ||
        llama_memory_seq_pos_max(llama_get_memory(context), 0) != static_cast<llama_pos>(depth) - 1)
        throw std::runtime_error("the state could not be loaded");
}

void run(const char* file, uint32_t depth, int count, int repeats, int threads) {
    if (std::string(llama_version()).rfind(kVersion, 0) != 0)
        throw std::runtime_error(std::string("this is llama.cpp ") + llama_version() + ", not " + kVersion);
    llama_log_set([](ggml_log_level, const char*, void*) {}, nullptr);
    ggml_backend_load_all_from_path(std::getenv("LLAMA_LIBRARIES"));
    llama_model_params params = llama_model_default_params();
    params.n_gpu_layers = 0;
    llama_model* model = llama_model_load_from_file(file, params);
    if (!model) throw std::runtime_error("the model cannot be loaded");
    const int vocabulary = llama_vocab_n_tokens(llama_model_get_vocab(model));
    llama_context* context = make_context(model, depth + static_cast<uint32_t>(count), threads);
    Tokens tokens{static_cast<uint32_t>(vocabulary)};
    fill(context, tokens, depth);
    const auto next = [&] {
        llama_token token = tokens.next();
        decode(context, &token, 1, vocabulary);
    };
    next(); // as llama-bench does before the clock starts
    std::string samples;
    for (int repeat = 0; repeat < repeats; repeat++) {
        llama_memory_seq_rm(llama_get_memory(context), 0, static_cast<llama_pos>(depth), -1);
        const auto start = std::chrono::steady_clock::now();
        for (int i = 0; i < count; i++) next();
        const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
        samples += (repeat ? ", " : "") + std::to_string(count / seconds.count());
    }
    std::printf("{\"samples\": [%s]}\n", samples.c_str());
}

} // namespace

int main(int argc, char** argv) {
    if (argc != 6) return 2;
    try {
        run(argv[1], std::strtoul(argv[2], nullptr, 10), std::atoi(argv[3]), std::atoi(argv[4]), std::atoi(argv[5]));
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "llama_depth: %s\n", error.what());
        return 1;
    }
}
