// Passes of several tokens: exact attention over the stored runs that are seen whole, and the session's tail.
#include "cuda_attention.h"

#include <algorithm>
#include <cstring>

namespace repowave {

using wave::AttentionCall;

namespace {

/// Blocks that keep a GPU busy, and keys that are worth one of their own; nobody has tuned them.
constexpr size_t kEnoughBlocks = 128, kSplitKeys = 256;

/// Counted from the first token of the pass. Further away than any window it does not matter how far.
int32_t position_in(const AttentionCall& call, int64_t position) {
    constexpr int64_t kFar = 1 << 29;
    return static_cast<int32_t>(std::clamp<int64_t>(position - call.position, -kFar, kFar));
}

} // namespace

bool CudaAttention::can_pass(const AttentionCall& call) {
    return !call.on_device && call.wave_count == 0 && call.background_count == 0;
}

std::vector<cuda::Span> CudaAttention::spans(const Layer& layer, const AttentionCall& call) const {
    std::vector<cuda::Span> spans;
    for (uint32_t head = 0; head < shape_.kv_heads; head++) {
        for (size_t i = head * call.exact_count; i < (head + 1) * call.exact_count; i++)
            spans.push_back({layer.exact[i].slots, layer.exact[i].tokens, call.exact[i].bias,
                             position_in(call, call.exact[i].position), 0});
        const wave::KvRun& tail = call.tail[head];
        spans.push_back({layer.tail.as<uint8_t>(head * layer.tail_room * shape_.slot_bytes()),
                         static_cast<uint32_t>(tail.tokens), tail.bias,
                         call.tokens - static_cast<int32_t>(tail.tokens), 1});
    }
    return spans;
}

/// visit(place among the rows as the kernels have them, token, query head)
template <class Visit> void CudaAttention::each_row(const AttentionCall& call, Visit visit) const {
    size_t row = 0;
    for (uint32_t head = 0; head < shape_.kv_heads; head++)
        for (int token = 0; token < call.tokens; token++)
            for (uint32_t g = 0; g < group(); g++) visit(row++, token, head * group() + g);
}

void CudaAttention::run_pass(Layer& layer, const AttentionCall& call) {
    make_ready(layer, call);
    copy_tail(layer, call.tail);
    const std::vector<cuda::Span> seen = spans(layer, call);
    const size_t row = shape_.dk * sizeof(float), rows = static_cast<size_t>(call.tokens) * query_heads_;
    const size_t spans = seen.size() * sizeof(cuda::Span), listed = whole_lines(spans), q = rows * row;
    const size_t given = listed + q + query_heads_ * sizeof(float);
    reserve(host_given_, given, CudaMemory::kPinned);
    reserve(given_, given, CudaMemory::kDevice);
    reserve(host_told_, q, CudaMemory::kPinned);
    reserve(told_, q, CudaMemory::kDevice);
    std::memcpy(host_given_.as<void>(), seen.data(), spans);
    each_row(call, [&](size_t i, int token, uint32_t head) {
        std::memcpy(host_given_.as<void>(listed + i * row),
                    call.q + token * call.q_token_stride + head * call.q_head_stride, row);
    });
    if (call.sinks) std::memcpy(host_given_.as<void>(listed + q), call.sinks, query_heads_ * sizeof(float));
    copy(given_.as<void>(), host_given_.as<void>(), given);

    size_t keys = 0;
    for (size_t i = 0; i <= call.exact_count; i++) keys += seen[i].tokens;
    const size_t blocks = (rows + 63) / 64;
    cuda::Prefill prefill{};
    prefill.format = plan_.format, prefill.head_size = plan_.head_size;
    prefill.kv_heads = plan_.kv_heads, prefill.group = plan_.group, prefill.tokens = call.tokens;
    prefill.spans = static_cast<int>(call.exact_count) + 1, prefill.window = call.window;
    prefill.scale = call.scale, prefill.soft_cap = call.soft_cap;
    prefill.splits = static_cast<int>(std::clamp<size_t>(kEnoughBlocks / blocks, 1, 1 + keys / kSplitKeys));
    prefill.seen = given_.as<cuda::Span>(), prefill.q = given_.as<float>(listed);
    prefill.sinks = call.sinks ? given_.as<float>(listed + q) : nullptr;
    prefill.out = told_.as<float>();
    const CudaLibrary& library = memory_.library();
    reserve(workspace_, library.prefill_workspace(&prefill), CudaMemory::kDevice);
    library.check(library.prefill(&prefill, workspace_.as<void>(), nullptr));
    copy(host_told_.as<void>(), told_.as<void>(), q);
    wait();
    each_row(call, [&](size_t i, int token, uint32_t head) {
        std::memcpy(call.out + token * call.out_token_stride + head * call.out_head_stride,
                    host_told_.as<void>(i * row), row);
    });
}

} // namespace repowave
