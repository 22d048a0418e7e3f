#include "cuda.h"

#include "../cuda/self_test.h"

#include <dlfcn.h>
#include <filesystem>
#include <utility>

namespace repowave::addon {

namespace {

/// Beside the library, for drivers that do not know its CUDA: `npm run cuda -- 12.9`.
std::string for_older_drivers(const std::string& library) {
    const std::filesystem::path path(library);
    return path.parent_path() / (path.stem().string() + "12.so");
}

} // namespace

CudaReport find_cuda(const std::string& library) {
    CudaReport report;
    report.library = library;
    report.problem = "the CUDA part is not built (npm run cuda)";
    bool first = true;
    for (const std::string& each : {library, for_older_drivers(library)}) {
        if (!std::filesystem::exists(each)) continue;
        try {
            report.devices = cuda_devices(open_cuda(each), report.driver);
            report.library = each, report.problem.clear();
            return report;
        } catch (const CudaProblem& problem) {
            if (std::exchange(first, false)) report.problem = problem.what();
        }
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
