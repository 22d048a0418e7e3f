// The kernels of kernels.h, written once over a vector type `Isa` (see scalar.cpp for what it must offer) and
// instantiated by one file per instruction set.

#include "kernels.h"

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <limits>

namespace wave {
namespace {

constexpr int W = Isa::width;
using V = Isa::V;

/// e^x for x <= 0 (and a little above), relative error about 2e-7; exactly 0 below -87.3.
/// Cephes' polynomial after the reduction x = n ln 2 + r, |r| <= ln 2 / 2.
inline V vexp(V x) {
    const V n = Isa::round(Isa::mul(x, Isa::set1(1.44269504088896341f)));
    V r = Isa::fma(n, Isa::set1(-0.693359375f), x);
    r = Isa::fma(n, Isa::set1(2.12194440e-4f), r);
    V p = Isa::set1(1.9875691500e-4f);
    for (float c : {1.3981999507e-3f, 8.3334519073e-3f, 4.1665795894e-2f, 1.6666665459e-1f, 5.0000001201e-1f})
        p = Isa::fma(p, r, Isa::set1(c));
    p = Isa::add(Isa::fma(p, Isa::mul(r, r), r), Isa::set1(1.0f));
    return Isa::zero_below(Isa::scale_by_power_of_2(p, n), x, -87.3f);
}

/// c[R][C*W] (+)= a[R][k] * b[k][C*W], all row-major with their leading dimensions.
template <int R, int C, bool Accumulate>
inline void gemm_block(const float* a, int lda, const float* b, int ldb, float* c, int ldc, int k) {
    V sum[R][C];
    for (int i = 0; i < R; i++)
        for (int j = 0; j < C; j++)
            sum[i][j] = Accumulate ? Isa::load(c + i * ldc + j * W) : Isa::set1(0.0f);
    for (int x = 0; x < k; x++) {
        V row[C];
        for (int j = 0; j < C; j++)
            row[j] = Isa::load(b + static_cast<size_t>(x) * ldb + j * W);
        for (int i = 0; i < R; i++) {
            const V left = Isa::set1(a[i * lda + x]);
            for (int j = 0; j < C; j++)
                sum[i][j] = Isa::fma(left, row[j], sum[i][j]);
        }
    }
    for (int i = 0; i < R; i++)
        for (int j = 0; j < C; j++)
            Isa::store(c + i * ldc + j * W, sum[i][j]);
}

template <int C, bool Accumulate>
inline void gemm_columns(int rows, const float* a, int lda, const float* b, int ldb, float* c, int ldc,
                         int k) {
    constexpr int R = Isa::gemm_rows;
    int i = 0;
    for (; i + R <= rows; i += R)
        gemm_block<R, C, Accumulate>(a + i * lda, lda, b, ldb, c + i * ldc, ldc, k);
    for (; i + 2 <= rows; i += 2)
        gemm_block<2, C, Accumulate>(a + i * lda, lda, b, ldb, c + i * ldc, ldc, k);
    for (; i < rows; i++)
        gemm_block<1, C, Accumulate>(a + i * lda, lda, b, ldb, c + i * ldc, ldc, k);
}

/// columns is a multiple of W.
template <bool Accumulate>
inline void gemm(int rows, int columns, const float* a, int lda, const float* b, int ldb, float* c, int ldc,
                 int k) {
    constexpr int C = Isa::gemm_columns;
    int j = 0;
    for (; j + C * W <= columns; j += C * W)
        gemm_columns<C, Accumulate>(rows, a, lda, b + j, ldb, c + j, ldc, k);
    for (; j < columns; j += W)
        gemm_columns<1, Accumulate>(rows, a, lda, b + j, ldb, c + j, ldc, k);
}

inline V load_elements(const float* x) {
    return Isa::load(x);
}
inline V load_elements(const uint16_t* x) {
    return Isa::load_f16(x);
}

/// kt[dk][kTileKeys] = the transposed keys; the columns from `keys` on are zero.
template <class T> void unpack_keys(const T* k, int keys, int dk, float* kt) {
    for (int key = 0; key < kTileKeys; key += W) {
        for (int d = 0; d < dk; d += W) {
            V block[W];
            for (int i = 0; i < W; i++)
                block[i] = key + i < keys ? load_elements(k + static_cast<size_t>(key + i) * dk + d)
                                          : Isa::set1(0.0f);
            Isa::transpose(block);
            for (int i = 0; i < W; i++)
                Isa::store(kt + (d + i) * kTileKeys + key, block[i]);
        }
    }
}

template <class T> void unpack_values(const T* v, int keys, int dv, float* out) {
    const size_t n = static_cast<size_t>(keys) * dv;
    for (size_t i = 0; i < n; i += W)
        Isa::store(out + i, load_elements(v + i));
}

/// One row of the tile: turns logits into weights, moves (m, l) on and rescales o.
/// The row holds kTileKeys logits, those from `visible` on do not count.
void softmax_row(float* row, int visible, float bias, float& m, float& l, float* o, int dv) {
    for (int i = visible; i < kTileKeys; i++)
        row[i] = -std::numeric_limits<float>::infinity();
    V top = Isa::load(row);
    for (int i = W; i < kTileKeys; i += W)
        top = Isa::max(top, Isa::load(row + i));
    const float highest = std::max(m, Isa::reduce_max(top) + bias);
    if (highest == -std::numeric_limits<float>::infinity()) {
        std::fill(row, row + kTileKeys, 0.0f);
        return;
    }
    const V shift = Isa::set1(bias - highest);
    V sum = Isa::set1(0.0f);
    for (int i = 0; i < kTileKeys; i += W) {
        const V p = vexp(Isa::add(Isa::load(row + i), shift));
        Isa::store(row + i, p);
        sum = Isa::add(sum, p);
    }
    if (highest > m) {
        const float factor = std::exp(m - highest);
        l *= factor;
        for (int i = 0; i < dv; i += W)
            Isa::store(o + i, Isa::mul(Isa::load(o + i), Isa::set1(factor)));
        m = highest;
    }
    l += Isa::reduce_add(sum);
}

template <class T> void attend_typed(const AttendBlock& b) {
    float* kt = b.scratch;
    float* values = kt + static_cast<size_t>(kTileKeys) * b.dk;
    float* scores = values + static_cast<size_t>(kTileKeys) * b.dv;
    const int last_visible = b.first_visible + (b.rows - 1) / b.group;
    for (int key = 0; key < std::min(b.keys, last_visible); key += kTileKeys) {
        const int keys = std::min(kTileKeys, b.keys - key);
        unpack_keys(static_cast<const T*>(b.k) + static_cast<size_t>(key) * b.dk, keys, b.dk, kt);
        unpack_values(static_cast<const T*>(b.v) + static_cast<size_t>(key) * b.dv, keys, b.dv, values);
        gemm<false>(b.rows, kTileKeys, b.q, b.dk, kt, kTileKeys, scores, kTileKeys, b.dk);
        for (int r = 0; r < b.rows; r++) {
            const int visible = std::clamp(b.first_visible + r / b.group - key, 0, keys);
            float* row = scores + static_cast<size_t>(r) * kTileKeys;
            if (b.logits)
                for (int i = 0; i < keys; i++)
                    b.logits[r * b.logits_stride + key + i] = row[i] + b.bias;
            softmax_row(row, visible, b.bias, b.m[r], b.l[r], b.o + static_cast<size_t>(r) * b.dv, b.dv);
        }
        gemm<true>(b.rows, b.dv, scores, kTileKeys, values, b.dv, b.o, b.dv, keys);
    }
}

void attend(const AttendBlock& block) {
    if (block.type == DType::f16)
        attend_typed<uint16_t>(block);
    else
        attend_typed<float>(block);
}

void to_f16(const float* x, uint16_t* y, size_t n) {
    size_t i = 0;
    for (; i + W <= n; i += W)
        Isa::store_f16(y + i, Isa::load(x + i));
    for (; i < n; i++)
        y[i] = Isa::to_f16(x[i]);
}

void add_mass(const float* logits, float m, float l, float* mass, size_t n) {
    const V shift = Isa::set1(-m), inverse = Isa::set1(1.0f / l);
    size_t i = 0;
    for (; i + W <= n; i += W) {
        const V p = vexp(Isa::add(Isa::load(logits + i), shift));
        Isa::store(mass + i, Isa::fma(p, inverse, Isa::load(mass + i)));
    }
    for (; i < n; i++)
        mass[i] += std::exp(logits[i] - m) / l;
}

} // namespace
} // namespace wave
