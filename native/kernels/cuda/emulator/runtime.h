// The few functions of the CUDA runtime that are called: memory is the process's own.
#pragma once

#include <cstdlib>
#include <cstring>

using cudaStream_t = void*;
enum cudaError_t { cudaSuccess = 0, cudaErrorMemoryAllocation = 2 };
enum cudaMemcpyKind { cudaMemcpyHostToDevice = 1, cudaMemcpyDeviceToHost = 2, cudaMemcpyDefault = 4 };

/// 256 bytes aligned, filled with NaN.
template <class T> cudaError_t cudaMalloc(T** to, size_t bytes) {
    void* memory;
    if (posix_memalign(&memory, 256, bytes)) return cudaErrorMemoryAllocation;
    std::memset(memory, 0xff, bytes);
    *to = static_cast<T*>(memory);
    return cudaSuccess;
}
inline cudaError_t cudaMallocHost(void** to, size_t bytes) {
    return cudaMalloc(to, bytes);
}
inline cudaError_t cudaFree(void* p) {
    std::free(p);
    return cudaSuccess;
}
inline cudaError_t cudaFreeHost(void* p) {
    return cudaFree(p);
}
inline cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind, cudaStream_t) {
    if (bytes) std::memcpy(to, from, bytes); // of nothing, pointers may be null
    return cudaSuccess;
}
inline cudaError_t cudaDeviceSynchronize() {
    return cudaSuccess;
}
inline cudaError_t cudaStreamSynchronize(cudaStream_t) {
    return cudaSuccess;
}
inline cudaError_t cudaGetLastError() {
    return cudaSuccess;
}
inline const char* cudaGetErrorString(cudaError_t error) {
    return error == cudaSuccess ? "no error" : "out of memory";
}
