// The CUDA kernels: what was found of driver, library and devices, and a device for a session.
#pragma once

#include "../cuda/cuda_attention.h"

#include <string>
#include <vector>

namespace repowave::addon {

/// What was found, for people to read.
struct CudaReport {
    std::string library; ///< its path
    int driver = 0;      ///< newest CUDA that the driver knows: 13000 is 13.0; 0 without a driver
    std::string problem; ///< why there are no devices; empty when there are
    std::vector<cuda::Device> devices;
};

/// Looks for driver, library and devices.
CudaReport find_cuda(const std::string& library);

struct OpenDevice {
    std::unique_ptr<wave::DeviceAttention> attention;
    std::string name;
};
/// The first device. @param library its path @param bytes of device memory to take at most; 0: most of what
/// is free. Throws CudaProblem
OpenDevice open_device(const std::string& library, size_t bytes, const wave::KvShape& shape, int query_heads);

} // namespace repowave::addon
