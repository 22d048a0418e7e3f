// The device that the emulated library has: the processor.
#include "kernels/cuda/library.h"

using namespace repowave::cuda;

extern "C" __attribute__((visibility("default"))) int repowave_cuda_devices(Device* to, int room, int* driver) {
    *driver = 13010;
    if (room > 0) *to = {"emulated", 1 << 30, 1 << 30, 9, 0, 1};
    return 1;
}
