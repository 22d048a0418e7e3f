// The device that the emulated library has: the processor. When sessions look for it the environment tells how
// it is: whether streams run `late`, and how many bytes of other memory can be pinned.
#include "kernels/cuda/library.h"
#include "kernels/cuda/simt.h"

using namespace repowave::cuda;

extern "C" __attribute__((visibility("default"))) int repowave_cuda_devices(Device* to, int room, int* driver) {
    *driver = 13010;
    const char *streams = std::getenv("REPOWAVE_EMULATED_STREAMS"),
               *pinnable = std::getenv("REPOWAVE_EMULATED_PINNABLE");
    simt::streams().late = streams && !std::strcmp(streams, "late");
    simt::streams().pinnable = pinnable ? std::strtoull(pinnable, nullptr, 10) : SIZE_MAX;
    if (room > 0) *to = {"emulated", 1 << 30, 1 << 30, 9, 0, 1};
    return 1;
}
