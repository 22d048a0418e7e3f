#include "weight_matmul.h"

#include <algorithm>
#include <cstring>
#include <ggml-backend.h>
#include <optional>
#include <sched.h>

namespace repowave {
namespace {

/// Below, but for one alone, unpacking the weights costs more than the faster products save.
constexpr int64_t kFewestTokens = 16;
/// Tokens that one thread packs at a time.
constexpr int64_t kTokensAtATime = 16;
/// Of the rows for one token alone, so many for each thread. Few, since rows that lie side by side are read
/// much faster than those of turns that threads take by the panel; more than one, for threads that start
/// late.
constexpr int64_t kShares = 2;

std::optional<wave::WeightFormat> format_of(ggml_type type) {
    switch (type) {
    case GGML_TYPE_Q4_1:
        return wave::WeightFormat::q4_1;
    case GGML_TYPE_Q5_0:
        return wave::WeightFormat::q5_0;
    case GGML_TYPE_Q5_1:
        return wave::WeightFormat::q5_1;
    case GGML_TYPE_Q8_0:
        return wave::WeightFormat::q8_0;
    case GGML_TYPE_Q4_K:
        return wave::WeightFormat::q4_K;
    case GGML_TYPE_Q5_K:
        return wave::WeightFormat::q5_K;
    case GGML_TYPE_Q6_K:
        return wave::WeightFormat::q6_K;
    default:
        return std::nullopt;
    }
}

bool is_matrix_of_floats(const ggml_tensor* x) {
    return x->type == GGML_TYPE_F32 && x->nb[0] == sizeof(float) && x->ne[2] == 1 && x->ne[3] == 1;
}

/// Weights that ggml has rearranged for kernels of its own lie in buffers that no host may read.
bool lies_as_in_file(const ggml_tensor* weights) {
    return weights->buffer && ggml_backend_buffer_is_host(weights->buffer);
}

/// Where the processor has AMX, ggml multiplies by its tiles, which are faster than we are.
bool is_for_tiles(const ggml_tensor* weights) {
    return weights->buffer && std::strcmp(ggml_backend_buffer_name(weights->buffer), "AMX") == 0;
}

} // namespace

WeightMatmul::WeightMatmul(const WeightFile& file, int threads)
    : file_(file), kernels_(wave::matmul_kernels()), scratch_(threads) {}

bool WeightMatmul::takes(const ggml_tensor* node) {
    const ggml_tensor *weights = node->src[0], *x = node->src[1];
    if (!ggml_backend_buffer_is_host(node->buffer)) return false; // a GPU's
    if (!kernels_ || !is_matrix_of_floats(x) || !is_matrix_of_floats(node)) return false;
    const auto format = format_of(weights->type);
    if (!format || weights->ne[1] % wave::kPanelRows || ggml_n_dims(weights) > 2) return false;
    // ggml has rearranged weights so that it multiplies one token well itself.
    const bool alone = x->ne[1] == 1 && wave::multiplies_one(*format) && lies_as_in_file(weights);
    if (!alone && x->ne[1] < kFewestTokens) return false;
    if (is_for_tiles(weights) || (!lies_as_in_file(weights) && !file_.find(weights))) return false;
    reserve(weights, x);
    return true;
}

void WeightMatmul::reserve(const ggml_tensor* weights, const ggml_tensor* x) {
    const size_t activations = x->ne[0] * x->ne[1];
    if (activations > packed_capacity_) {
        const size_t scales = activations / wave::kActivationBlock, sums = 2 * scales;
        packed_memory_ = wave::aligned_bytes(activations + (scales + sums) * sizeof(float));
        packed_.values = reinterpret_cast<int8_t*>(packed_memory_.get());
        packed_.scales = reinterpret_cast<float*>(packed_memory_.get() + activations);
        packed_.sums = packed_.scales + scales;
        packed_capacity_ = activations;
    }
    const auto columns = static_cast<int>(weights->ne[0]);
    if (columns <= columns_ && weights->nb[1] <= row_bytes_) return;
    const int most = std::max(columns_, columns);
    const size_t longest = std::max(row_bytes_, weights->nb[1]);
    for (auto& [rows, panel] : scratch_) {
        rows = wave::aligned_bytes(wave::kPanelRows * longest);
        panel = wave::aligned_bytes(wave::matmul_scratch_bytes(most));
    }
    columns_ = most, row_bytes_ = longest;
}

void WeightMatmul::run(const ggml_tensor* node, int thread, int threads) {
    const wave::WeightFormat format = *format_of(node->src[0]->type);
    pack_tokens(node->src[1], format);
    while (packed_tokens_.load(std::memory_order_acquire) < node->src[1]->ne[1]) sched_yield();
    multiply_panels(node, format, thread, threads);
    if (through_.fetch_add(1, std::memory_order_acq_rel) + 1 < threads) return;
    for (auto* counter : {&next_tokens_, &packed_tokens_, &next_panel_, &through_}) counter->store(0);
}

void WeightMatmul::pack_tokens(const ggml_tensor* x, wave::WeightFormat format) {
    const int64_t tokens = x->ne[1];
    for (int64_t first; (first = next_tokens_.fetch_add(kTokensAtATime)) < tokens;) {
        const int64_t end = std::min(first + kTokensAtATime, tokens);
        for (int64_t token = first; token < end; token++) {
            const auto* row =
                reinterpret_cast<const float*>(static_cast<const uint8_t*>(x->data) + token * x->nb[1]);
            kernels_->pack(row, static_cast<int>(x->ne[0]), format, packed_, token);
        }
        packed_tokens_.fetch_add(end - first, std::memory_order_release);
    }
}

void WeightMatmul::multiply_panels(const ggml_tensor* node, wave::WeightFormat format, int thread,
                                   int threads) {
    const ggml_tensor* weights = node->src[0];
    auto& [memory, panel] = scratch_[thread];
    const int64_t panels = weights->ne[1] / wave::kPanelRows;
    const int64_t share = node->ne[1] > 1 ? 1 : (panels + threads * kShares - 1) / (threads * kShares);
    for (int64_t first; (first = next_panel_.fetch_add(share)) < panels;)
        for (int64_t next = first; next < std::min(first + share, panels); next++) {
            const int64_t row = next * wave::kPanelRows;
            const uint8_t* rows = rows_of(weights, row, memory.get());
            if (!rows) return failed_.store(true);
            kernels_->multiply({format, rows, weights->nb[1], static_cast<int>(weights->ne[0])}, packed_,
                               node->ne[1], static_cast<float*>(node->data) + row,
                               node->nb[1] / sizeof(float), panel.get());
        }
}

/// A panel's rows; null when they cannot be read.
const uint8_t* WeightMatmul::rows_of(const ggml_tensor* weights, int64_t first, uint8_t* memory) {
    const size_t before = first * weights->nb[1];
    if (lies_as_in_file(weights)) return static_cast<const uint8_t*>(weights->data) + before;
    const auto offset = file_.find(weights);
    return offset && file_.read(*offset + before, memory, wave::kPanelRows * weights->nb[1]) ? memory
                                                                                             : nullptr;
}

} // namespace repowave
