// Runs prefills and k-means that it reads from its input, and writes what came out (passes.ts). Compiled by a
// C++ compiler it runs the kernels in the emulator, by nvcc on a GPU.
#include "device_memory.h"

using namespace repowave::cuda;

namespace {

enum Kind : int { kPrefill, kClustering };

void end_with(int error) {
    if (!error && cudaStreamSynchronize(nullptr) == cudaSuccess) return;
    std::fprintf(stderr, "%s\n", repowave_cuda_error(error));
    std::exit(5);
}

void run_prefill() {
    Memory memory;
    Prefill p{};
    p.format = read_number<Format>();
    for (int* to : {&p.head_size, &p.kv_heads, &p.group, &p.tokens, &p.spans, &p.window, &p.splits})
        *to = read_number<int>();
    p.scale = read_number<float>(), p.soft_cap = read_number<float>();
    const bool has_sinks = read_number<int>(), has_more = read_number<int>();
    const size_t rows = static_cast<size_t>(p.kv_heads) * p.tokens * p.group;
    p.q = memory.read<float>(rows * p.head_size);
    if (has_sinks) p.sinks = memory.read<float>(p.kv_heads * p.group);
    if (has_more) p.more = memory.read<float>(rows * p.head_size), p.more_lse = memory.read<float>(rows);
    std::vector<Span> spans(p.kv_heads * p.spans);
    for (Span& span : spans) {
        span.tokens = read_number<uint32_t>(), span.bias = read_number<float>();
        span.position = read_number<int32_t>(), span.causal = read_number<uint32_t>();
        span.slots = memory.read<uint16_t>(size_t{2} * span.tokens * p.head_size);
    }
    p.seen = memory.copy(spans);
    p.out = memory.reserve<float>(rows * p.head_size);
    end_with(repowave_cuda_prefill(&p, memory.reserve<char>(repowave_cuda_prefill_workspace(&p)), nullptr));
    write(p.out, rows * p.head_size);
}

void run_clustering() {
    Memory memory;
    Clustering c{};
    c.format = read_number<Format>();
    for (int* to : {&c.head_size, &c.kv_heads, &c.tokens}) *to = read_number<int>();
    std::vector<const void*> slots(c.kv_heads);
    for (const void*& head : slots) head = memory.read<uint16_t>(size_t{2} * c.tokens * c.head_size);
    c.slots = memory.copy(slots);
    const size_t points = static_cast<size_t>(c.kv_heads) * c.tokens;
    c.nearest = memory.reserve<uint32_t>(points);
    end_with(repowave_cuda_cluster(&c, memory.reserve<char>(repowave_cuda_cluster_workspace(&c)), nullptr));
    write(c.nearest, points);
}

} // namespace

int main() {
    for (Kind kind; read_bytes(&kind, sizeof kind);) {
        const int seed = read_number<int>();
#if !defined(__CUDACC__)
        simt::machine().seed = seed;
#endif
        (void)seed;
        kind == kPrefill ? run_prefill() : run_clustering();
    }
}
