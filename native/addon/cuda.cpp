#include "cuda.h"

#include <algorithm>
#include <dlfcn.h>
#include <filesystem>

namespace repowave::addon {
namespace {

/// A function of the library; nothing here links to it.
#define SYMBOL(library, name) reinterpret_cast<decltype(&name)>(dlsym(library, #name))

/// A handle is kept for the life of the process: the driver's threads may run in a library.
void* open_for_good(const std::string& path) {
    return dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
}

} // namespace

CudaReport find_cuda(const std::string& folder) {
    CudaReport report;
    const auto because = [&](std::string problem) {
        report.problem = std::move(problem);
        return report;
    };
    if (!open_for_good("libcuda.so.1")) return because("no NVIDIA driver");
    const std::string path = folder + "/librepowave_cuda.so";
    if (!std::filesystem::exists(path)) return because("the CUDA part is not built");
    void* const library = open_for_good(path);
    if (!library) return because(dlerror());
    const auto version = SYMBOL(library, repowave_cuda_version);
    const auto devices = SYMBOL(library, repowave_cuda_devices);
    const auto error = SYMBOL(library, repowave_cuda_error);
    if (!version || version() != kRepowaveCudaVersion || !devices || !error)
        return because("the CUDA part is of another version");
    std::vector<cuda::Device> found(16);
    const int count = devices(found.data(), static_cast<int>(found.size()), &report.driver);
    if (count < 0) return because(error(-count));
    if (count == 0) return because("the driver has no device");
    found.resize(std::min<size_t>(found.size(), static_cast<size_t>(count)));
    report.devices = std::move(found);
    return report;
}

} // namespace repowave::addon
