// The library of the CUDA kernels, opened at run time: nothing here links to it.
#pragma once

#include "../kernels/cuda/library.h"

#include <stdexcept>
#include <string>
#include <vector>

namespace repowave {

/// The library cannot be used, and why.
struct CudaProblem : std::runtime_error {
    using runtime_error::runtime_error;
};

/// Functions of native/kernels/cuda/library.h, without their common beginning.
struct CudaLibrary {
    decltype(&repowave_cuda_devices) devices;
    decltype(&repowave_cuda_workspace) workspace;
    decltype(&repowave_cuda_choose) choose;
    decltype(&repowave_cuda_attend) attend;
    decltype(&repowave_cuda_select) select;
    decltype(&repowave_cuda_prefill_workspace) prefill_workspace;
    decltype(&repowave_cuda_prefill) prefill;
    decltype(&repowave_cuda_cluster_workspace) cluster_workspace;
    decltype(&repowave_cuda_cluster) cluster;
    decltype(&repowave_cuda_move) move;
    decltype(&repowave_cuda_place) place;
    decltype(&repowave_cuda_pin) pin;
    decltype(&repowave_cuda_unpin) unpin;
    decltype(&repowave_cuda_stream) stream;
    decltype(&repowave_cuda_end_stream) end_stream;
    decltype(&repowave_cuda_idle) idle;
    decltype(&repowave_cuda_follow) follow;
    decltype(&repowave_cuda_allocate) allocate;
    decltype(&repowave_cuda_free) free;
    decltype(&repowave_cuda_copy) copy;
    decltype(&repowave_cuda_wait) wait;
    decltype(&repowave_cuda_append) append;
    decltype(&repowave_cuda_wait_for_all) wait_for_all;
    decltype(&repowave_cuda_error) error;

    /// Throws CudaProblem for what is not 0.
    void check(int error) const {
        if (error) throw CudaProblem(this->error(error));
    }
};

/// Opens a library for the life of the process: the driver's threads may run in it. Throws CudaProblem.
CudaLibrary open_cuda(const std::string& path);

/// @param driver see repowave_cuda_devices. Throws CudaProblem when there are none
std::vector<cuda::Device> cuda_devices(const CudaLibrary& library, int& driver);

} // namespace repowave
