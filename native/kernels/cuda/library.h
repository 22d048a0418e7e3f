// The CUDA kernels as a shared library of their own, repowave_cuda: a C ABI, opened when a driver is there.
// Nothing else depends on CUDA.
#pragma once

#include "structs.h"

#include <cstddef>

/// Callers and library must agree on it; it changes with every change of this file or structs.h.
constexpr int kRepowaveCudaVersion = 3;

namespace repowave::cuda {

struct Device {
    char name[64];
    uint64_t total_bytes, free_bytes;
    int major, minor; ///< compute capability
    int usable;       ///< whether there are kernels for it: from 8.0 on
};

} // namespace repowave::cuda

extern "C" {

int repowave_cuda_version();

/// Tells of the first `room` devices, and the newest CUDA that the driver knows (13000 is 13.0; 0: there is
/// none).
/// @returns how many devices there are, or CUDA's error as a negative number
int repowave_cuda_devices(repowave::cuda::Device* to, int room, int* driver);

/// The bytes of device memory that a step needs beside what it reads and writes; 0 for a head size that there
/// are no kernels for.
size_t repowave_cuda_workspace(const repowave::cuda::Plan* plan);

/// Starts a step on a stream (a cudaStream_t) and returns. @returns 0, or CUDA's error
int repowave_cuda_decode(const repowave::cuda::Plan* plan, const repowave::cuda::Step* step, void* workspace,
                         void* stream);

/// The two halves of a step, for callers that bring clusters to their places in between. The first tells in
/// Step::bits which are chosen. @returns 0, or CUDA's error
int repowave_cuda_choose(const repowave::cuda::Plan* plan, const repowave::cuda::Step* step, void* workspace,
                         void* stream);
int repowave_cuda_attend(const repowave::cuda::Plan* plan, const repowave::cuda::Step* step, void* workspace,
                         void* stream);

/// After a step, with its plan but for the budget: tells in Step::bits which clusters would have been chosen
/// with this one. @returns 0, or CUDA's error
int repowave_cuda_select(const repowave::cuda::Plan* plan, const repowave::cuda::Step* step, void* workspace,
                         void* stream);
/// Attention of several tokens: the bytes of device memory that it needs beside what it reads and writes (0
/// for a head size that there are no kernels for), and its start on a stream. @returns 0, or CUDA's error
size_t repowave_cuda_prefill_workspace(const repowave::cuda::Prefill* prefill);
int repowave_cuda_prefill(const repowave::cuda::Prefill* prefill, void* workspace, void* stream);

/// The same of k-means. @returns 0, or CUDA's error
size_t repowave_cuda_cluster_workspace(const repowave::cuda::Clustering* clustering);
int repowave_cuda_cluster(const repowave::cuda::Clustering* clustering, void* workspace, void* stream);

/// Writes K and V of `tokens` new tokens, as 32-bit floats, into the tails. @returns 0, or CUDA's error
int repowave_cuda_append(repowave::cuda::Format format, const repowave::cuda::Append* append, int tokens,
                         int kv_heads, void* stream);

/// Copies slots. `moves` is memory that the device can read, [count]. @returns 0, or CUDA's error
int repowave_cuda_move(const repowave::cuda::Move* moves, int count, int slot_bytes, void* stream);
/// Changes the mapping table, each place at most once: what is started before on the stream finds clusters
/// where they were, what is started later where they are to be. `placings` as `moves`. @returns 0, or CUDA's
/// error
int repowave_cuda_place(const repowave::cuda::Placing* placings, int count, void* stream);

/// Memory of the device or, pinned, of the host, which kernels can read too. @returns 0, or CUDA's error
int repowave_cuda_allocate(void** to, size_t bytes, int pinned);
void repowave_cuda_free(void* memory, int pinned);
/// Pins memory of the host that is somebody else's, whole pages of the system, so that kernels can read it
/// where it lies. Unpinned before it goes. @returns 0, or CUDA's error
int repowave_cuda_pin(void* memory, size_t bytes);
int repowave_cuda_unpin(void* memory);

/// Makes a stream that runs beside the others. @returns 0, or CUDA's error
int repowave_cuda_stream(void** to);
void repowave_cuda_end_stream(void* stream);
/// Whether all is done that was started on a stream.
int repowave_cuda_idle(void* stream);
/// What is started on a stream from now on begins when all is done that was started on the other one before.
/// @returns 0, or CUDA's error
int repowave_cuda_follow(void* stream, void* other);

/// Starts a copy between memories of either kind, or from any memory of the host. @returns 0, or CUDA's error
int repowave_cuda_copy(void* to, const void* from, size_t bytes, void* stream);

/// Waits for all that was started on a stream. @returns 0, or CUDA's error
int repowave_cuda_wait(void* stream);

/// Waits for all that was started on the device, by others too. @returns 0, or CUDA's error
int repowave_cuda_wait_for_all();

/// @returns what an error means, in CUDA's words
const char* repowave_cuda_error(int error);
}
