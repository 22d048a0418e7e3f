#include "library.h"

#include "decode.cuh"
#include "tiers.cuh"

namespace repowave::cuda {
namespace {

using Decode = void (*)(const Plan&, const Step&, const Workspace&, cudaStream_t);

template <class T> Decode kernels_for(int head_size) {
    switch (head_size) {
    case 64:
        return decode<T, 64>;
    case 80:
        return decode<T, 80>;
    case 96:
        return decode<T, 96>;
    case 128:
        return decode<T, 128>;
    case 256:
        return decode<T, 256>;
    default:
        return nullptr;
    }
}

Decode kernels_for(const Plan& plan) {
    return plan.format == Format::f16 ? kernels_for<__half>(plan.head_size)
                                      : kernels_for<__nv_bfloat16>(plan.head_size);
}

} // namespace
} // namespace repowave::cuda

using namespace repowave::cuda;

#define EXPORT __attribute__((visibility("default")))

EXPORT int repowave_cuda_version() {
    return kRepowaveCudaVersion;
}

EXPORT size_t repowave_cuda_workspace(const Plan* plan) {
    Workspace parts;
    return kernels_for(*plan) ? lay_out(*plan, nullptr, parts) : 0;
}

EXPORT int repowave_cuda_decode(const Plan* plan, const Step* step, void* workspace, void* stream) {
    Workspace parts;
    lay_out(*plan, workspace, parts);
    kernels_for (*plan)(*plan, *step, parts, static_cast<cudaStream_t>(stream));
    return static_cast<int>(cudaGetLastError());
}

EXPORT int repowave_cuda_append(Format format, const Append* append, int tokens, int kv_heads, void* stream) {
    const dim3 grid(tokens, kv_heads);
    const auto on = static_cast<cudaStream_t>(stream);
    if (format == Format::f16)
        SIMT_LAUNCH(append_kernel<__half>, grid, dim3(128), 0, on, *append);
    else
        SIMT_LAUNCH(append_kernel<__nv_bfloat16>, grid, dim3(128), 0, on, *append);
    return static_cast<int>(cudaGetLastError());
}

EXPORT int repowave_cuda_move(const Move* moves, int count, int slot_bytes, void* stream) {
    if (count == 0) return 0;
    SIMT_LAUNCH(move_kernel, dim3(count), dim3(128), 0, static_cast<cudaStream_t>(stream), moves, slot_bytes);
    return static_cast<int>(cudaGetLastError());
}

EXPORT const char* repowave_cuda_error(int error) {
    return cudaGetErrorString(static_cast<cudaError_t>(error));
}
