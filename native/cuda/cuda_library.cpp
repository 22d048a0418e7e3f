#include "cuda_library.h"

#include <algorithm>
#include <dlfcn.h>

namespace repowave {
namespace {

template <class F> void find(void* library, const char* name, F& to) {
    to = reinterpret_cast<F>(dlsym(library, name));
    if (!to) throw CudaProblem("the CUDA part is of another version");
}

} // namespace

CudaLibrary open_cuda(const std::string& path) {
    void* const library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!library) throw CudaProblem(dlerror());
    decltype(&repowave_cuda_version) version;
    find(library, "repowave_cuda_version", version);
    if (version() != kRepowaveCudaVersion) throw CudaProblem("the CUDA part is of another version");
    CudaLibrary it;
    find(library, "repowave_cuda_devices", it.devices);
    find(library, "repowave_cuda_workspace", it.workspace);
    find(library, "repowave_cuda_choose", it.choose);
    find(library, "repowave_cuda_attend", it.attend);
    find(library, "repowave_cuda_select", it.select);
    find(library, "repowave_cuda_prefill_workspace", it.prefill_workspace);
    find(library, "repowave_cuda_prefill", it.prefill);
    find(library, "repowave_cuda_cluster_workspace", it.cluster_workspace);
    find(library, "repowave_cuda_cluster", it.cluster);
    find(library, "repowave_cuda_move", it.move);
    find(library, "repowave_cuda_place", it.place);
    find(library, "repowave_cuda_pin", it.pin);
    find(library, "repowave_cuda_unpin", it.unpin);
    find(library, "repowave_cuda_stream", it.stream);
    find(library, "repowave_cuda_end_stream", it.end_stream);
    find(library, "repowave_cuda_idle", it.idle);
    find(library, "repowave_cuda_follow", it.follow);
    find(library, "repowave_cuda_allocate", it.allocate);
    find(library, "repowave_cuda_free", it.free);
    find(library, "repowave_cuda_copy", it.copy);
    find(library, "repowave_cuda_wait", it.wait);
    find(library, "repowave_cuda_append", it.append);
    find(library, "repowave_cuda_wait_for_all", it.wait_for_all);
    find(library, "repowave_cuda_error", it.error);
    return it;
}

std::vector<cuda::Device> cuda_devices(const CudaLibrary& library, int& driver) {
    std::vector<cuda::Device> found(16);
    const int count = library.devices(found.data(), static_cast<int>(found.size()), &driver);
    if (count < 0) throw CudaProblem(library.error(-count));
    if (count == 0) throw CudaProblem("the driver has no device");
    found.resize(std::min<size_t>(found.size(), static_cast<size_t>(count)));
    return found;
}

} // namespace repowave
