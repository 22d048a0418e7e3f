// Small kernels, right ones and ones with a fault: `emulator_faults NAME SEED` runs one and ends with 0 when
// all was right. emulator.test.ts tells which must end how.
#include "kernels/cuda/simt.h"

#include <cstdio>
#include <functional>
#include <map>
#include <string>

namespace {

struct Memory {
    float* x;   ///< [1024] 0 ... 6 again and again
    float* out; ///< [1024] zeros
    unsigned* counts;
};

__global__ void reduce(const float* x, float* out, bool after_write, bool in_loop) {
    SIMT_SHARED(shared);
    auto* const sums = reinterpret_cast<float*>(shared);
    const unsigned t = threadIdx.x;
    sums[t] = x[t];
    if (after_write) __syncthreads();
    for (unsigned half = blockDim.x / 2; half > 0; half /= 2) {
        if (t < half) sums[t] += sums[t + half];
        if (in_loop) __syncthreads();
    }
    if (t == 0) *out = sums[0];
}

__global__ void two_barriers(float* out) {
    if (threadIdx.x < 32) {
        __syncthreads();
        out[0] = 1;
    } else {
        __syncthreads();
        out[1] = 1;
    }
}

__global__ void swap_lanes(float* out, bool leave) {
    if (leave && threadIdx.x == 5) return;
    out[threadIdx.x] = __shfl_xor_sync(~0u, static_cast<float>(threadIdx.x), 1);
}

__global__ void vote_apart(unsigned* out, bool overlap) {
    if (threadIdx.x % 2)
        out[threadIdx.x] = __ballot_sync(0xaaaaaaaau, true);
    else
        out[threadIdx.x] = __ballot_sync(overlap ? ~0u : 0x55555555u, true);
}

__global__ void read_unwritten(float* out) {
    SIMT_SHARED(shared);
    out[threadIdx.x] = reinterpret_cast<float*>(shared)[threadIdx.x];
}

__global__ void shared_beyond(float* out, int by) {
    SIMT_SHARED(shared);
    auto* const own = reinterpret_cast<float*>(shared);
    own[threadIdx.x + by] = 1;
    __syncthreads();
    out[threadIdx.x] = own[threadIdx.x + by];
}

__global__ void global_beyond(float* out) {
    out[blockIdx.x * blockDim.x + threadIdx.x] = 1;
}

__global__ void load_wide(const float* x, float* out, int step) {
    const uint4 four = simt::load_stream16(x + step * threadIdx.x);
    out[threadIdx.x] = __builtin_bit_cast(float, four.x);
}

__global__ void count(unsigned* counts, bool atomic) {
    if (atomic)
        atomicAdd(&counts[threadIdx.x % 4], 1u);
    else
        counts[threadIdx.x % 4]++;
}

__global__ void block_reads_block(float* out) {
    if (blockIdx.x == 0)
        out[0] = 7;
    else
        out[1] = out[0];
}

/// The last block adds what the others have written.
__global__ void last_block(const float* x, float* parts, unsigned* done, float* out, bool fence) {
    parts[blockIdx.x] = x[blockIdx.x];
    if (fence) __threadfence();
    if (atomicAdd(done, 1u) != gridDim.x - 1) return;
    if (fence) __threadfence();
    float sum = 0;
    for (unsigned i = 0; i < gridDim.x; i++) sum += parts[i];
    *out = sum;
}

__global__ void exchange(float* out, bool sync) {
    SIMT_SHARED(shared);
    auto* const own = reinterpret_cast<float*>(shared);
    own[threadIdx.x] = static_cast<float>(threadIdx.x);
    if (sync)
        __syncwarp();
    else
        __shfl_xor_sync(~0u, 1, 1); // meets, and orders no memory
    out[threadIdx.x] = own[threadIdx.x ^ 1];
}

using Fault = std::function<bool(Memory)>;

const std::map<std::string, Fault> kernels = {
    {"reduce",
     [](Memory m) {
         SIMT_LAUNCH(reduce, 1, 128, 512, nullptr, m.x, m.out, true, true);
         return *m.out == 379;
     }},
    {"reduce without a barrier",
     [](Memory m) {
         SIMT_LAUNCH(reduce, 1, 128, 512, nullptr, m.x, m.out, false, true);
         return *m.out == 379;
     }},
    {"reduce without a barrier in the loop",
     [](Memory m) {
         SIMT_LAUNCH(reduce, 1, 128, 512, nullptr, m.x, m.out, true, false);
         return *m.out == 379;
     }},
    {"two barriers",
     [](Memory m) {
         SIMT_LAUNCH(two_barriers, 1, 64, 0, nullptr, m.out);
         return true;
     }},
    {"shuffle",
     [](Memory m) {
         SIMT_LAUNCH(swap_lanes, 1, 32, 0, nullptr, m.out, false);
         return m.out[4] == 5 && m.out[5] == 4;
     }},
    {"shuffle after a lane has left",
     [](Memory m) {
         SIMT_LAUNCH(swap_lanes, 1, 32, 0, nullptr, m.out, true);
         return true;
     }},
    {"votes of disjoint masks",
     [](Memory m) {
         SIMT_LAUNCH(vote_apart, 1, 32, 0, nullptr, m.counts, false);
         return m.counts[0] == 0x55555555u && m.counts[1] == 0xaaaaaaaau;
     }},
    {"votes of overlapping masks",
     [](Memory m) {
         SIMT_LAUNCH(vote_apart, 1, 32, 0, nullptr, m.counts, true);
         return true;
     }},
    {"shared memory that nobody wrote",
     [](Memory m) {
         SIMT_LAUNCH(read_unwritten, 1, 32, 128, nullptr, m.out);
         return m.out[3] == m.out[3];
     }},
    {"shared memory",
     [](Memory m) {
         SIMT_LAUNCH(shared_beyond, 1, 32, 128, nullptr, m.out, 0);
         return m.out[31] == 1;
     }},
    {"beyond shared memory",
     [](Memory m) {
         SIMT_LAUNCH(shared_beyond, 1, 32, 128, nullptr, m.out, 1);
         return true;
     }},
    {"global memory",
     [](Memory m) {
         SIMT_LAUNCH(global_beyond, 16, 64, 0, nullptr, m.out);
         return m.out[1023] == 1;
     }},
    {"beyond global memory",
     [](Memory m) {
         SIMT_LAUNCH(global_beyond, 17, 64, 0, nullptr, m.out);
         return true;
     }},
    {"wide loads",
     [](Memory m) {
         SIMT_LAUNCH(load_wide, 1, 32, 0, nullptr, m.x, m.out, 4);
         return m.out[2] == 1;
     }},
    {"misaligned wide loads",
     [](Memory m) {
         SIMT_LAUNCH(load_wide, 1, 32, 0, nullptr, m.x, m.out, 1);
         return true;
     }},
    {"count",
     [](Memory m) {
         SIMT_LAUNCH(count, 4, 64, 0, nullptr, m.counts, true);
         return m.counts[0] == 64;
     }},
    {"count without atomics",
     [](Memory m) {
         SIMT_LAUNCH(count, 4, 64, 0, nullptr, m.counts, false);
         return m.counts[0] == 64;
     }},
    {"a block that reads another's result",
     [](Memory m) {
         SIMT_LAUNCH(block_reads_block, 2, 1, 0, nullptr, m.out);
         return true;
     }},
    {"last block",
     [](Memory m) {
         SIMT_LAUNCH(last_block, 8, 1, 0, nullptr, m.x, m.out + 16, m.counts, m.out, true);
         return *m.out == 21;
     }},
    {"last block without a fence",
     [](Memory m) {
         SIMT_LAUNCH(last_block, 8, 1, 0, nullptr, m.x, m.out + 16, m.counts, m.out, false);
         return *m.out == 21;
     }},
    {"exchange in a warp",
     [](Memory m) {
         SIMT_LAUNCH(exchange, 1, 32, 128, nullptr, m.out, true);
         return m.out[3] == 2;
     }},
    {"exchange in a warp without a barrier",
     [](Memory m) {
         SIMT_LAUNCH(exchange, 1, 32, 128, nullptr, m.out, false);
         return m.out[3] == 2;
     }},
};

} // namespace

int main(int, char** arguments) {
    simt::machine().seed = std::stoi(arguments[2]);
    Memory memory{};
    cudaMalloc(&memory.x, 4096);
    cudaMalloc(&memory.out, 4096);
    cudaMalloc(&memory.counts, 4096);
    for (int i = 0; i < 1024; i++)
        memory.x[i] = static_cast<float>(i % 7), memory.out[i] = 0, memory.counts[i] = 0;
    const bool right = kernels.at(arguments[1])(memory);
    cudaFree(memory.x), cudaFree(memory.out), cudaFree(memory.counts);
    return right ? 0 : 1;
}
