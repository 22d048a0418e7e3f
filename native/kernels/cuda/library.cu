#include "library.h"

#include "decode.cuh"
#include "kmeans.cuh"
#include "prefill.cuh"
#include "tiers.cuh"

namespace repowave::cuda {
namespace {

using Half = void (*)(const Plan&, const Step&, const Workspace&, cudaStream_t);
struct Kernels {
    Half choose, attend;
    void (*prefill)(const Prefill&, void*, cudaStream_t);
    void (*cluster)(const Clustering&, void*, cudaStream_t);
};

template <class T> Kernels kernels_for(int head_size) {
    switch (head_size) {
    case 64:
        return {choose<T, 64>, attend<T, 64>, prefill<T, 64>, cluster<T, 64>};
    case 80:
        return {choose<T, 80>, attend<T, 80>, prefill<T, 80>, cluster<T, 80>};
    case 96:
        return {choose<T, 96>, attend<T, 96>, prefill<T, 96>, cluster<T, 96>};
    case 128:
        return {choose<T, 128>, attend<T, 128>, prefill<T, 128>, cluster<T, 128>};
    case 256:
        return {choose<T, 256>, attend<T, 256>, prefill<T, 256>, cluster<T, 256>};
    default:
        return {};
    }
}

/// Of a plan, a prefill or a clustering.
template <class Work> Kernels kernels_of(const Work& work) {
    return work.format == Format::f16 ? kernels_for<__half>(work.head_size)
                                      : kernels_for<__nv_bfloat16>(work.head_size);
}

int start(Half half, const Plan& plan, const Step& step, void* workspace, void* stream) {
    Workspace parts;
    lay_out(plan, workspace, parts);
    half(plan, step, parts, static_cast<cudaStream_t>(stream));
    return static_cast<int>(cudaGetLastError());
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
    return kernels_of(*plan).choose ? lay_out(*plan, nullptr, parts) : 0;
}

EXPORT int repowave_cuda_choose(const Plan* plan, const Step* step, void* workspace, void* stream) {
    return start(kernels_of(*plan).choose, *plan, *step, workspace, stream);
}

EXPORT int repowave_cuda_attend(const Plan* plan, const Step* step, void* workspace, void* stream) {
    return start(kernels_of(*plan).attend, *plan, *step, workspace, stream);
}

EXPORT int repowave_cuda_select(const Plan* plan, const Step* step, void* workspace, void* stream) {
    Workspace parts;
    lay_out(*plan, workspace, parts);
    select(*plan, *step, parts, static_cast<cudaStream_t>(stream));
    return static_cast<int>(cudaGetLastError());
}

EXPORT int repowave_cuda_decode(const Plan* plan, const Step* step, void* workspace, void* stream) {
    const int error = repowave_cuda_choose(plan, step, workspace, stream);
    return error ? error : repowave_cuda_attend(plan, step, workspace, stream);
}

EXPORT size_t repowave_cuda_prefill_workspace(const Prefill* prefill) {
    return kernels_of(*prefill).prefill ? prefill_workspace(*prefill) : 0;
}

EXPORT int repowave_cuda_prefill(const Prefill* prefill, void* workspace, void* stream) {
    kernels_of(*prefill).prefill(*prefill, workspace, static_cast<cudaStream_t>(stream));
    return static_cast<int>(cudaGetLastError());
}

EXPORT size_t repowave_cuda_cluster_workspace(const Clustering* clustering) {
    ClusterWorkspace parts;
    return kernels_of(*clustering).cluster ? lay_out(*clustering, nullptr, parts) : 0;
}

EXPORT int repowave_cuda_cluster(const Clustering* clustering, void* workspace, void* stream) {
    kernels_of(*clustering).cluster(*clustering, workspace, static_cast<cudaStream_t>(stream));
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

EXPORT int repowave_cuda_place(const Placing* placings, int count, void* stream) {
    if (count == 0) return 0;
    SIMT_LAUNCH(place_kernel, dim3((count + 127) / 128), dim3(128), 0, static_cast<cudaStream_t>(stream),
                placings, count);
    return static_cast<int>(cudaGetLastError());
}

EXPORT int repowave_cuda_allocate(void** to, size_t bytes, int pinned) {
    const cudaError_t error = pinned ? cudaMallocHost(to, bytes) : cudaMalloc(to, bytes);
    cudaGetLastError(); // or the next launch would tell of it again
    return static_cast<int>(error);
}

EXPORT void repowave_cuda_free(void* memory, int pinned) {
    pinned ? cudaFreeHost(memory) : cudaFree(memory);
}

EXPORT int repowave_cuda_pin(void* memory, size_t bytes) {
    cudaError_t error = cudaHostRegister(memory, bytes, cudaHostRegisterPortable | cudaHostRegisterMapped);
    if (error == cudaSuccess) {
        void* seen = nullptr;
        error = cudaHostGetDevicePointer(&seen, memory, 0);
        // Addresses in lists of pages are the host's.
        if (error == cudaSuccess && seen != memory) error = cudaErrorNotSupported;
        if (error != cudaSuccess) cudaHostUnregister(memory);
    }
    cudaGetLastError(); // as above
    return static_cast<int>(error);
}

EXPORT int repowave_cuda_unpin(void* memory) {
    const cudaError_t error = cudaHostUnregister(memory);
    cudaGetLastError(); // as above
    return static_cast<int>(error);
}

EXPORT int repowave_cuda_stream(void** to) {
    // One that the default stream does not wait for.
    return static_cast<int>(
        cudaStreamCreateWithFlags(reinterpret_cast<cudaStream_t*>(to), cudaStreamNonBlocking));
}

EXPORT void repowave_cuda_end_stream(void* stream) {
    cudaStreamDestroy(static_cast<cudaStream_t>(stream));
}

EXPORT int repowave_cuda_idle(void* stream) {
    const bool idle = cudaStreamQuery(static_cast<cudaStream_t>(stream)) == cudaSuccess;
    cudaGetLastError(); // that it is not ready yet, which the next launch would tell of as its own error
    return idle;
}

EXPORT int repowave_cuda_follow(void* stream, void* other) {
    cudaEvent_t done;
    cudaError_t error = cudaEventCreateWithFlags(&done, cudaEventDisableTiming);
    if (error != cudaSuccess) return static_cast<int>(error);
    error = cudaEventRecord(done, static_cast<cudaStream_t>(other));
    if (error == cudaSuccess) error = cudaStreamWaitEvent(static_cast<cudaStream_t>(stream), done, 0);
    cudaEventDestroy(done); // goes when it is no longer waited for
    return static_cast<int>(error);
}

EXPORT int repowave_cuda_copy(void* to, const void* from, size_t bytes, void* stream) {
    return static_cast<int>(
        cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, static_cast<cudaStream_t>(stream)));
}

EXPORT int repowave_cuda_wait(void* stream) {
    return static_cast<int>(cudaStreamSynchronize(static_cast<cudaStream_t>(stream)));
}

EXPORT int repowave_cuda_wait_for_all() {
    return static_cast<int>(cudaDeviceSynchronize());
}

EXPORT const char* repowave_cuda_error(int error) {
    return cudaGetErrorString(static_cast<cudaError_t>(error));
}
