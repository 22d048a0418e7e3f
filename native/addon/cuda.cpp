#include "cuda.h"

#include "../cuda/self_test.h"

#include <dlfcn.h>
#include <filesystem>

namespace repowave::addon {

CudaReport find_cuda(const std::string& library) {
    CudaReport report;
    report.library = library;
    try {
        if (std::filesystem::exists(library)) {
            report.devices = cuda_devices(open_cuda(library), report.driver);
            return report;
        }
        report.problem = "the CUDA part is not built";
    } catch (const CudaProblem& problem) {
        report.problem = problem.what();
    }
    // Then nothing else matters. The handle is kept for the life of the process, as that of the library is.
    if (!dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL)) report.problem = "no NVIDIA driver";
    return report;
}

OpenDevice open_device(const std::string& path, size_t bytes, const wave::KvShape& shape, int query_heads) {
    const CudaLibrary library = open_cuda(path);
    int driver;
    const cuda::Device device = cuda_devices(library, driver).front();
    if (!device.usable) throw CudaProblem("there are no CUDA kernels for this device");
    if (bytes == 0) bytes = device.free_bytes / 5 * 4;
    test_device(library, bytes, shape, query_heads);
    return {std::make_unique<CudaAttention>(library, bytes, shape, query_heads), device.name};
}

} // namespace repowave::addon
