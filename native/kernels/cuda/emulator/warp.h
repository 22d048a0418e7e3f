// What the threads of a warp do together, atomics, and the instructions of simt_device.h.
#pragma once

#include "block.h"

#include <type_traits>

namespace simt {

/// Every lane of `mask` brings an In and takes an Out; the last one to come computes all of them. It orders
/// no memory: CUDA does not promise that either.
template <class In, class Out, class Compute>
Out meet(unsigned mask, const In& in, const char* what, Place place, Compute compute) {
    Unseen unseen;
    Machine& it = machine();
    Fiber& self = *it.current;
    const unsigned bit = 1u << self.lane;
    Out out{};
    if (!(mask & bit)) stop("the calling lane is not in the mask", place);
    std::vector<Meeting>& list = it.meetings[self.warp];
    Meeting* meeting = nullptr;
    for (Meeting& other : list) {
        if (!(other.mask & mask)) continue;
        if (other.mask != mask) stop("masks overlap", place, &other.place);
        if (std::strcmp(other.what, what) || !same_place(other.place, place))
            stop("a warp meets in different places", place, &other.place);
        meeting = &other;
    }
    if (!meeting) {
        list.push_back({});
        meeting = &list.back();
        meeting->mask = mask, meeting->what = what, meeting->place = place;
    }
    meeting->in[self.lane] = &in, meeting->out[self.lane] = &out;
    meeting->arrived |= bit;
    if (meeting->arrived != mask) {
        wait(what, place);
        return out;
    }
    const Meeting whole = *meeting;
    list.erase(list.begin() + (meeting - list.data()));
    const In* ins[32];
    Out* outs[32];
    for (int lane = 0; lane < 32; lane++) {
        ins[lane] = static_cast<const In*>(whole.in[lane]);
        outs[lane] = static_cast<Out*>(whole.out[lane]);
    }
    compute(ins, outs);
    for (int lane = 0; lane < 32; lane++)
        if (mask >> lane & 1 && lane != self.lane) wake(self.warp * 32 + lane);
    return out;
}

template <class T, class Source>
T shuffle(unsigned mask, T value, const char* what, Place place, Source source) {
    return meet<T, T>(mask, value, what, place, [&](const T** in, T** out) {
        for (int lane = 0; lane < 32; lane++) {
            if (!(mask >> lane & 1)) continue;
            const int from = source(lane);
            if (!(mask >> from & 1)) stop("a shuffle from a lane outside the mask", place);
            *out[lane] = *in[from];
        }
    });
}

struct MatrixA {
    uint32_t a0, a1, a2, a3;
};

template <class T> float element(uint32_t pair, int half) {
    const auto bits = static_cast<uint16_t>(pair >> (16 * half));
    if constexpr (std::is_same_v<T, __half>)
        return __half2float({bits});
    else
        return __bfloat162float({bits});
}

template <class T>
void mma_two_halves(float& d0, float& d1, const MatrixA& a, uint32_t b0, uint32_t b1,
                    Place place = Place::current()) {
    struct In {
        MatrixA a;
        uint32_t b0, b1;
        float d0, d1;
    };
    const float2 result =
        meet<In, float2>(~0u, {a, b0, b1, d0, d1}, "mma", place, [](const In** in, float2** out) {
            float a[16][16], b[16][8], sums[16][8] = {};
            for (int lane = 0; lane < 32; lane++) {
                const int g = lane / 4, c = lane % 4;
                const In& own = *in[lane];
                for (int half = 0; half < 2; half++) {
                    a[g][2 * c + half] = element<T>(own.a.a0, half);
                    a[g + 8][2 * c + half] = element<T>(own.a.a1, half);
                    a[g][2 * c + 8 + half] = element<T>(own.a.a2, half);
                    a[g + 8][2 * c + 8 + half] = element<T>(own.a.a3, half);
                    b[2 * c + half][g] = element<T>(own.b0, half);
                    b[2 * c + 8 + half][g] = element<T>(own.b1, half);
                }
            }
            machine().products++;
            for (int row = 0; row < 16; row++)
                for (int k = 0; k < 16; k++)
                    for (int column = 0; column < 8; column++) sums[row][column] += a[row][k] * b[k][column];
            for (int lane = 0; lane < 32; lane++) {
                const int g = lane / 4, c = 2 * (lane % 4);
                *out[lane] = {in[lane]->d0 + sums[g][c] + sums[g + 8][c],
                              in[lane]->d1 + sums[g][c + 1] + sums[g + 8][c + 1]};
            }
        });
    d0 = result.x, d1 = result.y;
}

inline uint4 load_stream16(const void* p) {
    return *static_cast<const uint4*>(p);
}
inline uint2 load_stream8(const void* p) {
    return *static_cast<const uint2*>(p);
}
inline uint32_t load_stream4(const void* p) {
    return *static_cast<const uint32_t*>(p);
}
inline float exp2_fast(float x) {
    const float y = std::exp2(x);
    return y < 0x1p-126f ? 0.0f : y;
}

} // namespace simt

inline void __syncwarp(unsigned mask = ~0u, simt::Place place = simt::Place::current()) {
    simt::Barrier* barrier;
    unsigned turn;
    {
        simt::Unseen unseen;
        barrier = &simt::machine().warp_barriers[simt::machine().current->warp];
        turn = barrier->turn & 1;
    }
    SIMT_TSAN(__tsan_release(&barrier->sync[turn]);)
    simt::meet<int, int>(mask, 0, "__syncwarp", place, [&](const int**, int**) { barrier->turn++; });
    SIMT_TSAN(__tsan_acquire(&barrier->sync[turn]);)
    (void)turn;
}

template <class T>
T __shfl_sync(unsigned mask, T value, int from, simt::Place place = simt::Place::current()) {
    return simt::shuffle(mask, value, "__shfl_sync", place, [=](int) { return from; });
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int bits, simt::Place place = simt::Place::current()) {
    return simt::shuffle(mask, value, "__shfl_xor_sync", place, [=](int lane) { return lane ^ bits; });
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, int by, simt::Place place = simt::Place::current()) {
    return simt::shuffle(mask, value, "__shfl_up_sync", place,
                         [=](int lane) { return lane < by ? lane : lane - by; });
}
inline unsigned __ballot_sync(unsigned mask, bool vote, simt::Place place = simt::Place::current()) {
    return simt::meet<bool, unsigned>(mask, vote, "__ballot_sync", place,
                                      [=](const bool** in, unsigned** out) {
                                          unsigned votes = 0;
                                          for (int lane = 0; lane < 32; lane++)
                                              if (mask >> lane & 1 && *in[lane]) votes |= 1u << lane;
                                          for (int lane = 0; lane < 32; lane++)
                                              if (mask >> lane & 1) *out[lane] = votes;
                                      });
}

inline unsigned atomicAdd(unsigned* to, unsigned x) {
    return __atomic_fetch_add(to, x, __ATOMIC_RELAXED);
}
inline unsigned atomicAnd(unsigned* to, unsigned x) {
    return __atomic_fetch_and(to, x, __ATOMIC_RELAXED);
}
inline void __threadfence() {
    SIMT_TSAN(__tsan_acquire(&simt::machine().fence_sync); __tsan_release(&simt::machine().fence_sync);)
}
