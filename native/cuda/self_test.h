// Whether a device computes what it should.
#pragma once

#include "cuda_attention.h"

namespace repowave {

/// Attends to a layer of random numbers on the device and by the processor's kernels. Throws CudaProblem when
/// the relative L2 difference is above 1e-2: devices and drivers may be at fault, and answers would tell no
/// one.
void test_device(const CudaLibrary& library, size_t cap, wave::KvShape shape, int query_heads);

} // namespace repowave
