// CUDA kernels on the CPU: blocks one after the other, one fiber per thread, real rendezvous for barriers,
// shuffles and matrix products. It checks as it runs: threads in any order (adversarial schedules), divergent
// barriers, masks that do not agree, dead-locks, and shared memory that nobody has written (NaN). Built with
// ThreadSanitizer it is a detector of races in shared and global memory, also between blocks; with
// AddressSanitizer and UndefinedBehaviorSanitizer it finds accesses out of bounds and misaligned ones.
//
// What it cannot prove: it runs the C++ source, not PTX. The instructions in simt_device.h, the accuracy of
// ex2.approx, the order of sums in tensor cores, registers and speed need a GPU.
#pragma once

#include "block.h"
#include "runtime.h"
#include "types.h"
#include "warp.h"
