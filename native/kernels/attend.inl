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
inline void store_elements(float* y, V x) {
    Isa::store(y, x);
}
inline void store_elements(uint16_t* y, V x) {
    Isa::store_f16(y, x);
}

/// kt[dk][kTileKeys] = the transposed keys; the columns from `keys` on are zero. `row` gives the key's row.
template <class T, class Row>
void unpack_keys(const T* k, size_t stride, int keys, int dk, Row row, float* kt) {
    for (int key = 0; key < kTileKeys; key += W) {
        for (int d = 0; d < dk; d += W) {
            V block[W];
            for (int i = 0; i < W; i++)
                block[i] = key + i < keys ? load_elements(k + row(key + i) * stride + d) : Isa::set1(0.0f);
            Isa::transpose(block);
            for (int i = 0; i < W; i++)
                Isa::store(kt + (d + i) * kTileKeys + key, block[i]);
        }
    }
}

template <class T, class Row>
void unpack_values(const T* v, size_t stride, int keys, int dv, Row row, float* out) {
    for (int key = 0; key < keys; key++)
        for (int d = 0; d < dv; d += W)
            Isa::store(out + static_cast<size_t>(key) * dv + d, load_elements(v + row(key) * stride + d));
}

/// cap * tanh(x / cap) for one row of a tile.
void cap_row(float* row, float cap) {
    const V twice = Isa::set1(2.0f / cap), scale = Isa::set1(cap), one = Isa::set1(1.0f);
    for (int i = 0; i < kTileKeys; i += W) {
        const V x = Isa::load(row + i);
        // tanh(x) = sign(x) (1 - e^-2|x|) / (1 + e^-2|x|), whose exponent never overflows
        const V e = vexp(Isa::negative_magnitude(Isa::mul(x, twice)));
        const V t = Isa::div(Isa::add(one, Isa::negate(e)), Isa::add(one, e));
        Isa::store(row + i, Isa::mul(scale, Isa::copy_sign(t, x)));
    }
}

/// The keys [from, to) of a tile that a row sees.
struct Visible {
    int from, to;
};

/// One row of the tile: turns logits into weights, moves (m, l) on and rescales o.
/// The row holds kTileKeys logits, only the visible ones count.
void softmax_row(float* row, Visible visible, float bias, float& m, float& l, float* o, int dv) {
    constexpr float infinity = std::numeric_limits<float>::infinity();
    std::fill(row, row + visible.from, -infinity);
    std::fill(row + visible.to, row + kTileKeys, -infinity);
    V top = Isa::load(row);
    for (int i = W; i < kTileKeys; i += W)
        top = Isa::max(top, Isa::load(row + i));
    const float highest = std::max(m, Isa::reduce_max(top) + bias);
    if (highest == -infinity) {
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

void add_biases(float* row, const float* biases, int keys) {
    for (int i = 0; i < keys; i++)
        row[i] += biases[i];
}

template <class T, class Row> void attend_tile(const AttendBlock& b, int key, int keys, Row row_of) {
    float* kt = b.scratch;
    float* values = kt + static_cast<size_t>(kTileKeys) * b.dk;
    float* scores = values + static_cast<size_t>(kTileKeys) * b.dv;
    unpack_keys(static_cast<const T*>(b.k), b.k_stride, keys, b.dk, row_of, kt);
    unpack_values(static_cast<const T*>(b.v), b.v_stride, keys, b.dv, row_of, values);
    gemm<false>(b.rows, kTileKeys, b.q, b.dk, kt, kTileKeys, scores, kTileKeys, b.dk);
    for (int r = 0; r < b.rows; r++) {
        const int to = std::clamp(b.first_visible + r / b.group - key, 0, keys);
        const int from = std::clamp(b.first_key + r / b.group - key, 0, to);
        float* row = scores + static_cast<size_t>(r) * kTileKeys;
        if (b.soft_cap > 0) cap_row(row, b.soft_cap);
        if (b.biases) add_biases(row, b.biases + key, keys);
        if (b.logits)
            for (int i = from; i < to; i++)
                b.logits[r * b.logits_stride + key + i] = row[i] + b.bias;
        softmax_row(row, {from, to}, b.bias, b.m[r], b.l[r], b.o + static_cast<size_t>(r) * b.dv, b.dv);
    }
    gemm<true>(b.rows, b.dv, scores, kTileKeys, values, b.dv, b.o, b.dv, keys);
}

template <class T> void attend_typed(const AttendBlock& b) {
    const int last_row = (b.rows - 1) / b.group;
    const int end = std::min(b.keys, b.first_visible + last_row);
    const int begin = std::clamp(b.first_key, 0, std::max(0, end)) / kTileKeys * kTileKeys;
    for (int key = begin; key < end; key += kTileKeys) {
        const int keys = std::min(kTileKeys, b.keys - key);
        if (b.index)
            attend_tile<T>(b, key, keys, [&](int i) { return static_cast<size_t>(b.index[key + i]); });
        else
            attend_tile<T>(b, key, keys, [&](int i) { return static_cast<size_t>(key + i); });
    }
}

template <class T> void score_typed(const ScoreBlock& b) {
    float* kt = b.scratch;
    float* tile = kt + static_cast<size_t>(kTileKeys) * b.dk;
    for (int key = 0; key < b.keys; key += kTileKeys) {
        const int keys = std::min(kTileKeys, b.keys - key);
        unpack_keys(
            static_cast<const T*>(b.k), b.k_stride, keys, b.dk,
            [&](int i) { return static_cast<size_t>(key + i); }, kt);
        gemm<false>(b.rows, kTileKeys, b.q, b.dk, kt, kTileKeys, tile, kTileKeys, b.dk);
        for (int r = 0; r < b.rows; r++) {
            float* row = tile + static_cast<size_t>(r) * kTileKeys;
            if (b.soft_cap > 0) cap_row(row, b.soft_cap);
            std::copy_n(row, keys, b.logits + r * b.stride + key);
        }
    }
}

template <class T> void weigh_typed(const WeighBlock& b) {
    float* values = b.scratch;
    float* weights = values + static_cast<size_t>(kTileKeys) * b.dv;
    for (int key = 0; key < b.keys; key += kTileKeys) {
        const int keys = std::min(kTileKeys, b.keys - key);
        unpack_values(
            static_cast<const T*>(b.v), b.dv, keys, b.dv,
            [&](int i) { return static_cast<size_t>(key + i); }, values);
        for (int r = 0; r < b.rows; r++) {
            float* row = weights + static_cast<size_t>(r) * kTileKeys;
            std::copy_n(b.logits + r * b.stride + key, keys, row);
            if (b.biases) add_biases(row, b.biases + key, keys);
            softmax_row(row, {0, keys}, b.bias, b.m[r], b.l[r], b.o + static_cast<size_t>(r) * b.dv, b.dv);
        }
        if (b.dv > 0) gemm<true>(b.rows, b.dv, weights, kTileKeys, values, b.dv, b.o, b.dv, keys);
    }
}

void score(const ScoreBlock& block) {
    if (block.type == DType::f16)
        score_typed<uint16_t>(block);
    else
        score_typed<float>(block);
}

void weigh(const WeighBlock& block) {
    if (block.type == DType::f16)
        weigh_typed<uint16_t>(block);
    else
        weigh_typed<float>(block);
}

void multiply(const float* a, int rows, const float* bt, int columns, int d, float* c) {
    gemm<false>(rows, columns, a, d, bt, columns, c, columns, d);
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

void from_f16(const uint16_t* x, float* y, size_t n) {
    size_t i = 0;
    for (; i + W <= n; i += W)
        Isa::store(y + i, Isa::load_f16(x + i));
    for (; i < n; i++)
        y[i] = Isa::from_f16(x[i]);
}

template <class T> void from_steps_typed(const uint8_t* steps, V step, const T* mean, T* y, size_t n) {
    for (size_t i = 0; i < n; i += W)
        store_elements(y + i, Isa::fma(step, Isa::load_i8(steps + i), load_elements(mean + i)));
}

void from_steps(const uint8_t* steps, float step, DType type, const void* mean, void* y, size_t n) {
    if (type == DType::f16)
        from_steps_typed(steps, Isa::set1(step), static_cast<const uint16_t*>(mean), static_cast<uint16_t*>(y), n);
    else
        from_steps_typed(steps, Isa::set1(step), static_cast<const float*>(mean), static_cast<float*>(y), n);
}

void add_mass(const float* logits, const float* biases, float m, float l, float* mass, size_t n) {
    const V shift = Isa::set1(-m), inverse = Isa::set1(1.0f / l);
    size_t i = 0;
    for (; i + W <= n; i += W) {
        V x = Isa::add(Isa::load(logits + i), shift);
        if (biases) x = Isa::add(x, Isa::load(biases + i));
        Isa::store(mass + i, Isa::fma(vexp(x), inverse, Isa::load(mass + i)));
    }
    for (; i < n; i++)
        mass[i] += std::exp(logits[i] + (biases ? biases[i] : 0.0f) - m) / l;
}

} // namespace

#define REPOWAVE_KERNELS(isa) {isa, attend, score, weigh, to_f16, from_f16, from_steps, add_mass, multiply}

} // namespace wave
