// What the kernels need beyond CUDA C++: launches, shared memory, and the instructions that only PTX names.
#pragma once

#include <cstdint>
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#define SIMT_SHARED(name) extern __shared__ __align__(16) unsigned char name[]
#define SIMT_LAUNCH(kernel, grid, block, shared, stream, ...)                                                \
    kernel<<<(grid), (block), (shared), (stream)>>>(__VA_ARGS__)
/// Of more than 48 KiB a kernel has to be told before it is launched.
#define SIMT_ALLOW_SHARED(kernel, bytes)                                                                     \
    cudaFuncSetAttribute((kernel), cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes))

namespace simt {

/// The four registers with a lane's part of a 16 x 16 matrix of 16-bit numbers: with g = lane / 4 and
/// c = lane % 4, row g in a0 (columns 2c, 2c + 1) and a2 (2c + 8, 2c + 9), row g + 8 in a1 and a3 alike.
/// (PTX ISA, matrix fragments for mma.m16n8k16.)
struct MatrixA {
    uint32_t a0, a1, a2, a3;
};

/// Adds to d0, d1 the elements (g, 2c) and (g, 2c + 1) of A B, plus those eight rows below. b0, b1 are rows
/// 2c, 2c + 1 and 2c + 8, 2c + 9 of column g of B [16][8].
template <class T>
__device__ __forceinline__ void mma_two_halves(float& d0, float& d1, const MatrixA& a, uint32_t b0,
                                               uint32_t b1);

#define SIMT_MMA(type, name)                                                                                 \
    template <>                                                                                              \
    __device__ __forceinline__ void mma_two_halves<type>(float& d0, float& d1, const MatrixA& a,             \
                                                         uint32_t b0, uint32_t b1) {                         \
        float below0, below1;                                                                                \
        asm("mma.sync.aligned.m16n8k16.row.col.f32." name "." name ".f32 "                                   \
            "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%10,%10};"                                        \
            : "+f"(d0), "+f"(d1), "=f"(below0), "=f"(below1)                                                 \
            : "r"(a.a0), "r"(a.a1), "r"(a.a2), "r"(a.a3), "r"(b0), "r"(b1), "f"(0.0f));                      \
        d0 += below0, d1 += below1;                                                                          \
    }
SIMT_MMA(__half, "f16")
SIMT_MMA(__nv_bfloat16, "bf16")
#undef SIMT_MMA

/// Loads of what is read once: kept out of the L1 cache.
__device__ __forceinline__ uint4 load_stream16(const void* p) {
    uint4 r;
    asm volatile("ld.global.L1::no_allocate.v4.u32 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r.x), "=r"(r.y), "=r"(r.z), "=r"(r.w)
                 : "l"(p));
    return r;
}
__device__ __forceinline__ uint2 load_stream8(const void* p) {
    uint2 r;
    asm volatile("ld.global.L1::no_allocate.v2.u32 {%0,%1}, [%2];" : "=r"(r.x), "=r"(r.y) : "l"(p));
    return r;
}
__device__ __forceinline__ uint32_t load_stream4(const void* p) {
    uint32_t r;
    asm volatile("ld.global.L1::no_allocate.u32 %0, [%1];" : "=r"(r) : "l"(p));
    return r;
}

/// 2^x; results below the normal numbers are 0.
__device__ __forceinline__ float exp2_fast(float x) {
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

} // namespace simt
