// The CUDA kernels as a shared library of their own, repowave_cuda: a C ABI, opened when a driver is there.
// Nothing else depends on CUDA.
#pragma once

#include "structs.h"

#include <cstddef>

extern "C" {

/// Callers and library must agree on it; it changes with every change of this file or structs.h.
constexpr int kRepowaveCudaVersion = 1;
int repowave_cuda_version();

/// The bytes of device memory that a step needs beside what it reads and writes; 0 for a head size that there
/// are no kernels for.
size_t repowave_cuda_workspace(const repowave::cuda::Plan* plan);

/// Starts a step on a stream (a cudaStream_t) and returns. @returns 0, or CUDA's error
int repowave_cuda_decode(const repowave::cuda::Plan* plan, const repowave::cuda::Step* step, void* workspace,
                         void* stream);

/// @returns what an error means, in CUDA's words
const char* repowave_cuda_error(int error);
}
