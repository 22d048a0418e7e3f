// One token's product with rows of weights: every weight is used once, so that they are multiplied as they
// are read, two blocks of 32 side by side, and nothing is kept.
#pragma once

#include "quantized_blocks.h"

namespace wave {
namespace {

/// 64 weights in twice 16 bytes: of each the first half in the low nibbles, the second in the high ones.
inline __m512i split_two(const uint8_t* a, const uint8_t* b) {
    const __m256i both =
        _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(a))),
                                _mm_loadu_si128(reinterpret_cast<const __m128i*>(b)), 1);
    const __m512i twice =
        _mm512_permutexvar_epi64(_mm512_setr_epi64(0, 1, 0, 1, 2, 3, 2, 3), _mm512_castsi256_si512(both));
    const __m512i nibbles = _mm512_srlv_epi64(twice, _mm512_setr_epi64(0, 0, 4, 4, 0, 0, 4, 4));
    return _mm512_and_si512(nibbles, _mm512_set1_epi8(15));
}

/// Adds 16 where a bit of the 32 of each is set.
inline __m512i with_fifth_bits(__m512i nibbles, const uint8_t* a, const uint8_t* b) {
    uint32_t low, high;
    std::memcpy(&low, a, sizeof low);
    std::memcpy(&high, b, sizeof high);
    return _mm512_mask_add_epi8(nibbles, low | static_cast<uint64_t>(high) << 32, nibbles,
                                _mm512_set1_epi8(16));
}

/// Two blocks as unsigned bytes u, as Format::unpack gives them.
inline __m512i two_blocks(Q4_1, const uint8_t* a, const uint8_t* b) {
    return split_two(a + 4, b + 4);
}
inline __m512i two_blocks(Q5_0, const uint8_t* a, const uint8_t* b) {
    return with_fifth_bits(split_two(a + 6, b + 6), a + 2, b + 2);
}
inline __m512i two_blocks(Q5_1, const uint8_t* a, const uint8_t* b) {
    return with_fifth_bits(split_two(a + 8, b + 8), a + 4, b + 4);
}
inline __m512i two_blocks(Q8_0, const uint8_t* a, const uint8_t* b) {
    const __m256i first = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(a + 2));
    const __m256i second = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(b + 2));
    return _mm512_xor_si512(_mm512_inserti64x4(_mm512_castsi256_si512(first), second, 1),
                            _mm512_set1_epi8(-128));
}

/// What a block's unsigned bytes are too large by, in scales; 0 where a minimum of its own follows the scale.
constexpr float surplus(Q5_0) {
    return 16;
}
constexpr float surplus(Q8_0) {
    return 128;
}
constexpr float surplus(Q4_1) {
    return 0;
}
constexpr float surplus(Q5_1) {
    return 0;
}

/// Rows that go through the activations together, so that none waits for its own sums.
constexpr int kRowsTogether = 4;
/// Blocks whose scales are looked at together.
constexpr int kBlocksTogether = 64;

/// What a row's blocks are multiplied with: scales of weights and activations.
struct BlockScales {
    alignas(64) float both[kBlocksTogether];
};

/// @returns by how much the unsigned bytes make the sum too large, over `count` blocks, in 16 parts
template <class Format>
__m512 read_scales(const uint8_t* blocks, int count, const float* scales, const float* sums,
                   BlockScales& to) {
    constexpr bool has_minimum = surplus(Format()) == 0;
    alignas(64) uint16_t own[kBlocksTogether], minima[kBlocksTogether];
    for (int i = 0; i < count; i++) {
        std::memcpy(own + i, blocks + i * Format::bytes, sizeof *own);
        if (has_minimum) std::memcpy(minima + i, blocks + i * Format::bytes + 2, sizeof *minima);
    }
    __m512 too_much = _mm512_setzero_ps();
    for (int i = 0; i < count; i += 16) {
        const __mmask16 there = count - i < 16 ? (1u << (count - i)) - 1 : 0xffff;
        const auto floats = [&](const uint16_t* from) {
            return _mm512_maskz_cvtph_ps(there,
                                         _mm256_load_si256(reinterpret_cast<const __m256i*>(from + i)));
        };
        const __m512 scale = floats(own), sum = _mm512_maskz_loadu_ps(there, sums + i);
        _mm512_store_ps(to.both + i, _mm512_mul_ps(scale, _mm512_maskz_loadu_ps(there, scales + i)));
        too_much = has_minimum ? _mm512_fnmadd_ps(floats(minima), sum, too_much)
                               : _mm512_fmadd_ps(_mm512_mul_ps(scale, _mm512_set1_ps(surplus(Format()))), sum,
                                                 too_much);
    }
    return too_much;
}

/// Both blocks' products with 64 activations, by neighbours of four.
template <class Format> __m512 products(const uint8_t* a, const uint8_t* b, __m512i x) {
    return _mm512_cvtepi32_ps(_mm512_dpbusd_epi32(_mm512_setzero_si512(), two_blocks(Format(), a, b), x));
}

/// kRowsTogether rows of weights, `stride` bytes apart, times the token's activations.
template <class Format>
void multiply_rows(const uint8_t* rows, size_t stride, int columns, const PackedTokens& token, float* out) {
    __m512 total[kRowsTogether], too_much[kRowsTogether];
    for (int r = 0; r < kRowsTogether; r++) total[r] = too_much[r] = _mm512_setzero_ps();
    for (int first = 0; first < columns / 32; first += kBlocksTogether) {
        const int count = std::min(kBlocksTogether, columns / 32 - first);
        const uint8_t* const blocks = rows + static_cast<size_t>(first) * Format::bytes;
        BlockScales scales[kRowsTogether];
        for (int r = 0; r < kRowsTogether; r++)
            too_much[r] = _mm512_add_ps(too_much[r],
                                        read_scales<Format>(blocks + r * stride, count, token.scales + first,
                                                            token.sums + first, scales[r]));
        const int8_t* const x = token.values + first * 32;
        int i = 0;
        for (; i + 2 <= count; i += 2) {
            const __m512i both = _mm512_loadu_si512(x + i * 32);
#pragma GCC unroll 8
            for (int r = 0; r < kRowsTogether; r++) {
                const uint8_t* const at = blocks + r * stride + i * Format::bytes;
                const float* const own = scales[r].both + i;
                const __m512 scale = _mm512_insertf32x8(_mm512_castps256_ps512(_mm256_broadcast_ss(own)),
                                                        _mm256_broadcast_ss(own + 1), 1);
                total[r] = _mm512_fmadd_ps(products<Format>(at, at + Format::bytes, both), scale, total[r]);
            }
        }
        if (i == count) continue;
        const __m512i half = _mm512_maskz_loadu_epi8(0xffffffff, x + i * 32);
        for (int r = 0; r < kRowsTogether; r++) {
            const uint8_t* const last = blocks + r * stride + i * Format::bytes;
            total[r] = _mm512_fmadd_ps(products<Format>(last, last, half), _mm512_set1_ps(scales[r].both[i]),
                                       total[r]);
        }
    }
    for (int r = 0; r < kRowsTogether; r++)
        out[r] = _mm512_reduce_add_ps(_mm512_sub_ps(total[r], too_much[r]));
}

} // namespace
} // namespace wave
