// The weight formats of GGUF files, one block each: weight i = scales[i / per_scale] * u[i] -
// mins[i / per_scale] with u of eight bits, 32-byte aligned. Layouts: ggml-common.h and ggml-quants.c of
// llama.cpp.
#pragma once

#include "matmul.h"

#include <algorithm>
#include <cstring>
#include <immintrin.h>

namespace wave {
namespace {

inline float half_at(const uint8_t* p) {
    uint16_t bits;
    std::memcpy(&bits, p, sizeof bits);
    return _cvtsh_ss(bits);
}

/// 32 weights in 16 bytes: the first half in the low nibbles, the second in the high ones.
inline __m256i split_nibbles(const uint8_t* from) {
    const __m128i both = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
    const __m256i spread = _mm256_inserti128_si256(_mm256_castsi128_si256(both), _mm_srli_epi16(both, 4), 1);
    return _mm256_and_si256(spread, _mm256_set1_epi8(15));
}

/// 16 where a bit of the 32 is set.
inline __m256i fifth_bits(const uint8_t* from) {
    uint32_t bits;
    std::memcpy(&bits, from, sizeof bits);
    return _mm256_maskz_set1_epi8(bits, 16);
}

inline void keep(uint8_t* u, __m256i values) {
    _mm256_store_si256(reinterpret_cast<__m256i*>(u), values);
}

struct Q4_1 {
    static constexpr WeightFormat format = WeightFormat::q4_1;
    static constexpr int values = 32, bytes = 20, per_scale = 32;
    static void unpack(const uint8_t* block, uint8_t* u, float* scales, float* mins) {
        scales[0] = half_at(block), mins[0] = -half_at(block + 2);
        keep(u, split_nibbles(block + 4));
    }
};

struct Q5_0 {
    static constexpr WeightFormat format = WeightFormat::q5_0;
    static constexpr int values = 32, bytes = 22, per_scale = 32;
    static void unpack(const uint8_t* block, uint8_t* u, float* scales, float* mins) {
        scales[0] = half_at(block), mins[0] = 16 * scales[0];
        keep(u, _mm256_or_si256(split_nibbles(block + 6), fifth_bits(block + 2)));
    }
};

struct Q5_1 {
    static constexpr WeightFormat format = WeightFormat::q5_1;
    static constexpr int values = 32, bytes = 24, per_scale = 32;
    static void unpack(const uint8_t* block, uint8_t* u, float* scales, float* mins) {
        scales[0] = half_at(block), mins[0] = -half_at(block + 2);
        keep(u, _mm256_or_si256(split_nibbles(block + 8), fifth_bits(block + 4)));
    }
};

struct Q8_0 {
    static constexpr WeightFormat format = WeightFormat::q8_0;
    static constexpr int values = 32, bytes = 34, per_scale = 32;
    static void unpack(const uint8_t* block, uint8_t* u, float* scales, float* mins) {
        scales[0] = half_at(block), mins[0] = 128 * scales[0];
        for (int i = 0; i < 32; i++) u[i] = block[2 + i] ^ 0x80;
    }
};

/// Eight scales and eight minima of six bits, in twelve bytes.
inline void unpack_k_scales(const uint8_t* block, float* scales, float* mins) {
    const float d = half_at(block), minimum = half_at(block + 2);
    const uint8_t* packed = block + 4;
    for (int i = 0; i < 4; i++) {
        scales[i] = d * (packed[i] & 63), mins[i] = minimum * (packed[i + 4] & 63);
        scales[i + 4] = d * ((packed[i + 8] & 15) | packed[i] >> 6 << 4);
        mins[i + 4] = minimum * (packed[i + 8] >> 4 | packed[i + 4] >> 6 << 4);
    }
}

/// 64 weights in 32 bytes, eight times.
inline void split_k_nibbles(const uint8_t* from, uint8_t* u) {
    for (int part = 0; part < 4; part++)
        for (int i = 0; i < 32; i++) {
            u[part * 64 + i] = from[part * 32 + i] & 15;
            u[part * 64 + 32 + i] = from[part * 32 + i] >> 4;
        }
}

struct Q4_K {
    static constexpr WeightFormat format = WeightFormat::q4_K;
    static constexpr int values = 256, bytes = 144, per_scale = 32;
    static void unpack(const uint8_t* block, uint8_t* u, float* scales, float* mins) {
        unpack_k_scales(block, scales, mins);
        split_k_nibbles(block + 16, u);
    }
};

struct Q5_K {
    static constexpr WeightFormat format = WeightFormat::q5_K;
    static constexpr int values = 256, bytes = 176, per_scale = 32;
    static void unpack(const uint8_t* block, uint8_t* u, float* scales, float* mins) {
        unpack_k_scales(block, scales, mins);
        split_k_nibbles(block + 48, u);
        for (int part = 0; part < 8; part++)
            for (int i = 0; i < 32; i++) u[part * 32 + i] |= (block[16 + i] >> part & 1) << 4;
    }
};

struct Q6_K {
    static constexpr WeightFormat format = WeightFormat::q6_K;
    static constexpr int values = 256, bytes = 210, per_scale = 16;
    static void unpack(const uint8_t* block, uint8_t* u, float* scales, float* mins) {
        for (int half = 0; half < 2; half++) {
            const uint8_t *low = block + half * 64, *high = block + 128 + half * 32;
            uint8_t* to = u + half * 128;
            for (int i = 0; i < 32; i++) {
                to[i] = (low[i] & 15) | (high[i] & 3) << 4;
                to[i + 32] = (low[i + 32] & 15) | (high[i] >> 2 & 3) << 4;
                to[i + 64] = low[i] >> 4 | (high[i] >> 4 & 3) << 4;
                to[i + 96] = low[i + 32] >> 4 | high[i] >> 6 << 4;
            }
        }
        const float d = half_at(block + 208);
        for (int i = 0; i < 16; i++) {
            scales[i] = d * static_cast<int8_t>(block[192 + i]);
            mins[i] = 32 * scales[i];
        }
    }
};

/// work(Format()) for the format's type.
template <class Work> auto with_format(WeightFormat format, const Work& work) {
    switch (format) {
    case WeightFormat::q4_1:
        return work(Q4_1());
    case WeightFormat::q5_0:
        return work(Q5_0());
    case WeightFormat::q5_1:
        return work(Q5_1());
    case WeightFormat::q8_0:
        return work(Q8_0());
    case WeightFormat::q4_K:
        return work(Q4_K());
    case WeightFormat::q5_K:
        return work(Q5_K());
    case WeightFormat::q6_K:
        break;
    }
    return work(Q6_K());
}

} // namespace
} // namespace wave
