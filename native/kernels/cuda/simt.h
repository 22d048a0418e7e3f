// One source, two executions: nvcc compiles the kernels for the GPU, any C++20 compiler for the CPU, where
// emulator/ runs them. Rules for kernels: launched by SIMT_LAUNCH, shared memory by SIMT_SHARED only, PTX in
// simt_device.h only.
#pragma once

#if defined(__CUDACC__)
#include "simt_device.h"
#else
#include "emulator/emulator.h"
#endif
