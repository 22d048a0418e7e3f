// K and V on their way: from the layers into the tail, and of clusters between the memories of host and
// device, with their entries in the mapping table.
#pragma once

#include "numbers.cuh"
#include "structs.h"

namespace repowave::cuda {

/// grid (tokens, kv_heads) of 128 threads: rounds K and V of new tokens into slots.
template <class T> __global__ void __launch_bounds__(128) append_kernel(Append a) {
    const size_t token = blockIdx.x, head = blockIdx.y, d = a.head_size;
    const float* const k = a.k + token * a.token_stride + head * d;
    const float* const v = a.v + token * a.token_stride + head * d;
    T* const slot = static_cast<T*>(a.tails[head]) + (a.first + token) * 2 * d;
    for (size_t i = threadIdx.x; i < d; i += blockDim.x) {
        slot[i] = Number<T>::of(k[i]);
        slot[d + i] = Number<T>::of(v[i]);
    }
}

/// grid moves of 128 threads. From pinned memory of the host it reads over the bus.
__global__ void __launch_bounds__(128) move_kernel(const Move* moves, int slot_bytes) {
    const Move move = moves[blockIdx.x];
    const auto* const from = static_cast<const uint4*>(move.from);
    auto* const to = static_cast<uint4*>(move.to);
    const size_t parts = static_cast<size_t>(move.tokens) * slot_bytes / sizeof(uint4);
    for (size_t i = threadIdx.x; i < parts; i += blockDim.x) to[i] = simt::load_stream16(from + i);
}

/// grid placings / 128 rounded up of 128 threads.
__global__ void __launch_bounds__(128) place_kernel(const Placing* placings, int count) {
    const int i = blockIdx.x * 128 + threadIdx.x;
    if (i >= count) return;
    const Placing placing = placings[i];
    placing.place->slots = placing.slots;
    placing.place->scattered = placing.scattered;
}

} // namespace repowave::cuda
