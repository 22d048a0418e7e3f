#include "library.h"

#include <algorithm>
#include <cstdio>
#include <cuda_runtime.h>

using namespace repowave::cuda;

namespace {

__global__ void any_kernel() {}

/// Whether the library has code for the device that is current: its own or one that the driver can make of
/// PTX.
bool has_code() {
    cudaFuncAttributes attributes;
    return cudaFuncGetAttributes(&attributes, any_kernel) == cudaSuccess;
}

} // namespace

__attribute__((visibility("default"))) int repowave_cuda_devices(Device* to, int room, int* driver) {
    int count = 0;
    *driver = 0;
    cudaDriverGetVersion(driver);
    if (const cudaError_t error = cudaGetDeviceCount(&count)) return -static_cast<int>(error);
    // The first one last: it stays the thread's, and is the one that is used.
    for (int i = std::min(count, room) - 1; i >= 0; i--) {
        Device& device = to[i] = {};
        cudaDeviceProp properties;
        if (cudaSetDevice(i) || cudaGetDeviceProperties(&properties, i)) continue;
        std::snprintf(device.name, sizeof device.name, "%s", properties.name);
        device.major = properties.major, device.minor = properties.minor;
        size_t free = 0, total = 0;
        cudaMemGetInfo(&free, &total);
        device.free_bytes = free, device.total_bytes = total;
        device.usable = properties.major >= 8 && has_code();
        cudaGetLastError(); // of a device that is too old, or the next launch would tell of it
    }
    return count;
}
