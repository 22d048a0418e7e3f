// The library of the CUDA kernels: there when it was built, and opened when the machine has a driver.
#pragma once

#include "../kernels/cuda/library.h"

#include <string>
#include <vector>

namespace repowave::addon {

/// What was found, for people to read.
struct CudaReport {
    int driver = 0;      ///< newest CUDA that the driver knows: 13000 is 13.0; 0 without a driver
    std::string problem; ///< why there are no devices; empty when there are
    std::vector<cuda::Device> devices;
};

/// Looks for driver, library and devices. @param folder where librepowave_cuda.so lies, if it was built
CudaReport find_cuda(const std::string& folder);

} // namespace repowave::addon
