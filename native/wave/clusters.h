// The wave index of one stored segment: for each layer and KV head its keys in clusters, and those in coarse
// clusters (RetroInfer, sections 4.2 and 4.6; how this differs: docs/method.md).
#pragma once

#include "kv.h"

#include <algorithm>

namespace wave {

/// Tokens of a cluster, and clusters of a coarse cluster, on average.
constexpr size_t kClusterTokens = 16;
constexpr int kClusterIterations = 4;

/// Most clusters that n points are put into.
inline uint32_t cluster_limit(size_t points) {
    return static_cast<uint32_t>(std::max<size_t>(1, (points + kClusterTokens / 2) / kClusterTokens));
}

/// Stand-ins for sets of tokens: the mean of their keys, the mean of their values, the logarithm of their
/// number. As keys with a bias of log(size) they are RetroInfer's estimation: s exp(q.C) in the denominator
/// (equation 2) and exp(q.C) times the sum of values in the numerator (equation 4).
struct Summaries {
    const void* keys = nullptr;       ///< [count][dk]
    const void* values = nullptr;     ///< [count][dv]
    const float* log_sizes = nullptr; ///< [count]
    uint32_t count = 0;
};

/// Summaries that stand for segments as a whole.
struct CoarseRun {
    Summaries summaries;
    float bias = 0;  ///< added to every attention logit; -infinity hides the run
    Summaries whole; ///< all that lie together, of which the summaries are a part
    uint64_t id = 0; ///< of the whole, see new_identity
};

/// The index of one layer and KV head. K and V of the segment lie cluster by cluster: cluster c is the slots
/// starts[c] ... starts[c + 1].
struct Clusters {
    Summaries fine;
    const uint32_t* starts = nullptr; ///< [fine.count + 1]
    Summaries coarse;
    const uint16_t* tokens = nullptr; ///< [tokens] which token of the segment lies in each slot
};

/// A partition of points, in the order of the clusters.
struct Partition {
    std::vector<uint32_t> order;  ///< the points, cluster by cluster, ascending in each
    std::vector<uint32_t> starts; ///< [clusters + 1] into order; no cluster is empty
};

/// Spherical k-means of x [points][d] around its own mean, deterministic: strided initial centroids, the
/// first of equal centroids wins, sums in the order of the points. At most cluster_limit(points) clusters.
Partition cluster(const float* x, size_t points, uint32_t d);

/// The index of one layer and KV head, built from K and V in the order of the tokens; owns its memory.
/// At most 65,536 tokens.
class BuiltClusters {
  public:
    /// @param nearest null, or [tokens]: the centroid that each token goes to, known already
    BuiltClusters(const KvShape& shape, const KvRun& run, const uint32_t* nearest = nullptr);
    const std::vector<uint32_t>& order() const { return order_; } ///< [tokens] the token in each slot
    Clusters view() const;

  private:
    struct Level {
        AlignedBytes keys, values;
        std::vector<float> log_sizes;
        Summaries view() const {
            return {keys.get(), values.get(), log_sizes.data(), static_cast<uint32_t>(log_sizes.size())};
        }
    };

    Level fine_, coarse_;
    std::vector<uint32_t> order_, starts_;
    std::vector<uint16_t> tokens_;
};

} // namespace wave
