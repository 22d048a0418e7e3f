#include "clusters.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

namespace wave {
namespace {

/// Rows of points that are compared with all centroids at once.
constexpr size_t kPointRows = 48;

size_t round_up(size_t n, size_t unit) {
    return (n + unit - 1) / unit * unit;
}

/// Unless it is the null vector.
void normalize(float* x, uint32_t d) {
    float square = 0;
    for (uint32_t i = 0; i < d; i++) square += x[i] * x[i];
    if (square == 0) return;
    const float factor = 1 / std::sqrt(square);
    for (uint32_t i = 0; i < d; i++) x[i] *= factor;
}

/// x - mean(x): without it the common part of all keys would hide what tells them apart (section 4.2).
std::vector<float> centred(const float* x, size_t points, uint32_t d) {
    std::vector<double> sum(d);
    for (size_t i = 0; i < points; i++)
        for (uint32_t j = 0; j < d; j++) sum[j] += x[i * d + j];
    std::vector<float> y(points * d);
    for (size_t i = 0; i < points; i++)
        for (uint32_t j = 0; j < d; j++)
            y[i * d + j] = x[i * d + j] - static_cast<float>(sum[j] / static_cast<double>(points));
    return y;
}

/// Centroids [m][d] as columns: [d][columns], padded with zeros.
void transpose(const std::vector<float>& c, size_t m, uint32_t d, size_t columns, std::vector<float>& ct) {
    for (uint32_t j = 0; j < d; j++)
        for (size_t i = 0; i < m; i++) ct[j * columns + i] = c[i * d + j];
}

/// Each point's centroid with the largest inner product, the first of equal ones.
void assign(const std::vector<float>& y, size_t points, uint32_t d, const std::vector<float>& ct, size_t m,
            size_t columns, std::vector<uint32_t>& nearest) {
    std::vector<float> products(kPointRows * columns);
    for (size_t at = 0; at < points; at += kPointRows) {
        const size_t rows = std::min(kPointRows, points - at);
        kernels().multiply(y.data() + at * d, static_cast<int>(rows), ct.data(), static_cast<int>(columns),
                           static_cast<int>(d), products.data());
        for (size_t r = 0; r < rows; r++) {
            const float* row = products.data() + r * columns;
            nearest[at + r] = static_cast<uint32_t>(std::max_element(row, row + m) - row);
        }
    }
}

Partition partition(const std::vector<uint32_t>& nearest, size_t m) {
    std::vector<uint32_t> counts(m);
    for (const uint32_t c : nearest) counts[c]++;
    std::vector<uint32_t> next(m);
    Partition parts{std::vector<uint32_t>(nearest.size()), {0}};
    for (size_t c = 0; c < m; c++) {
        next[c] = parts.starts.back();
        if (counts[c] > 0) parts.starts.push_back(parts.starts.back() + counts[c]);
    }
    for (uint32_t i = 0; i < nearest.size(); i++) parts.order[next[nearest[i]]++] = i;
    return parts;
}

/// Unit vectors in the direction of the members' means; a centroid without members stays.
void move_centroids(const std::vector<float>& y, const std::vector<uint32_t>& nearest, size_t m, uint32_t d,
                    std::vector<float>& c) {
    std::vector<float> sums(m * d);
    std::vector<bool> seen(m);
    for (size_t i = 0; i < nearest.size(); i++) {
        seen[nearest[i]] = true;
        for (uint32_t j = 0; j < d; j++) sums[nearest[i] * d + j] += y[i * d + j];
    }
    for (size_t i = 0; i < m; i++) {
        if (!seen[i]) continue;
        std::copy_n(sums.data() + i * d, d, c.data() + i * d);
        normalize(c.data() + i * d, d);
    }
}

/// x [points][d], rows `stride` bytes apart
std::vector<float> as_floats(const uint8_t* x, size_t stride, DType type, size_t points, uint32_t d) {
    std::vector<float> y(points * d);
    for (size_t i = 0; i < points; i++, x += stride)
        if (type == DType::f16)
            kernels().from_f16(reinterpret_cast<const uint16_t*>(x), y.data() + i * d, d);
        else
            std::memcpy(y.data() + i * d, x, d * sizeof(float));
    return y;
}

AlignedBytes stored(const std::vector<float>& x, DType type) {
    AlignedBytes bytes = aligned_bytes(x.size() * dtype_size(type));
    if (type == DType::f16)
        kernels().to_f16(x.data(), reinterpret_cast<uint16_t*>(bytes.get()), x.size());
    else
        std::memcpy(bytes.get(), x.data(), x.size() * sizeof(float));
    return bytes;
}

/// [clusters][d] the mean of the members of each cluster, weighted.
std::vector<float> means(const std::vector<float>& x, const std::vector<float>& weights, uint32_t d,
                         const Partition& parts) {
    const size_t clusters = parts.starts.size() - 1;
    std::vector<float> result(clusters * d);
    std::vector<double> sum(d);
    for (size_t c = 0; c < clusters; c++) {
        std::fill(sum.begin(), sum.end(), 0.0);
        double weight = 0;
        for (uint32_t s = parts.starts[c]; s < parts.starts[c + 1]; s++) {
            const uint32_t i = parts.order[s];
            weight += weights[i];
            for (uint32_t j = 0; j < d; j++) sum[j] += static_cast<double>(weights[i]) * x[i * d + j];
        }
        for (uint32_t j = 0; j < d; j++) result[c * d + j] = static_cast<float>(sum[j] / weight);
    }
    return result;
}

std::vector<float> sizes_of(const std::vector<float>& weights, const Partition& parts) {
    std::vector<float> sizes(parts.starts.size() - 1);
    for (size_t c = 0; c < sizes.size(); c++)
        for (uint32_t s = parts.starts[c]; s < parts.starts[c + 1]; s++) sizes[c] += weights[parts.order[s]];
    return sizes;
}

std::vector<float> logarithms(const std::vector<float>& x) {
    std::vector<float> y(x.size());
    std::transform(x.begin(), x.end(), y.begin(), [](float value) { return std::log(value); });
    return y;
}

} // namespace

Partition cluster(const float* x, size_t points, uint32_t d) {
    if (points == 0) return {{}, {0}};
    const size_t m = cluster_limit(points), columns = round_up(m, 16);
    const std::vector<float> y = centred(x, points, d);
    std::vector<float> c(m * d), ct(d * columns);
    for (size_t i = 0; i < m; i++) {
        const size_t seed = (2 * i + 1) * points / (2 * m);
        std::copy_n(y.data() + seed * d, d, c.data() + i * d);
        normalize(c.data() + i * d, d);
    }
    std::vector<uint32_t> nearest(points);
    for (int iteration = 1;; iteration++) {
        transpose(c, m, d, columns, ct);
        assign(y, points, d, ct, m, columns, nearest);
        if (iteration == kClusterIterations) return partition(nearest, m);
        move_centroids(y, nearest, m, d, c);
    }
}

BuiltClusters::BuiltClusters(const KvShape& shape, const KvRun& run, const uint32_t* nearest) {
    const size_t slot = shape.slot_bytes();
    const std::vector<float> k = as_floats(run.slots, slot, shape.type, run.tokens, shape.dk);
    const std::vector<float> v =
        as_floats(run.slots + shape.key_bytes(), slot, shape.type, run.tokens, shape.dv);
    const std::vector<float> ones(run.tokens, 1.0f);
    const Partition fine = nearest ? partition({nearest, nearest + run.tokens}, cluster_limit(run.tokens))
                                   : cluster(k.data(), run.tokens, shape.dk);
    const std::vector<float> fine_keys = means(k, ones, shape.dk, fine),
                             fine_values = means(v, ones, shape.dv, fine), sizes = sizes_of(ones, fine);
    const Partition coarse = cluster(fine_keys.data(), sizes.size(), shape.dk);
    fine_ = {stored(fine_keys, shape.type), stored(fine_values, shape.type), logarithms(sizes)};
    coarse_ = {stored(means(fine_keys, sizes, shape.dk, coarse), shape.type),
               stored(means(fine_values, sizes, shape.dv, coarse), shape.type),
               logarithms(sizes_of(sizes, coarse))};
    order_ = fine.order;
    starts_ = fine.starts;
    tokens_.assign(order_.begin(), order_.end());
}

Clusters BuiltClusters::view() const {
    return {fine_.view(), starts_.data(), coarse_.view(), tokens_.data()};
}

} // namespace wave
