#include "selection.h"

#include <algorithm>
#include <bit>

namespace wave {
namespace {

/// The bits of non-negative floats are in the order of the floats; the upper twelve make the buckets.
constexpr int kBucketShift = 20;

template <class Visit> void each_cluster(const std::vector<ClusterSizes>& runs, Visit visit) {
    uint32_t cluster = 0;
    for (const ClusterSizes& run : runs)
        for (uint32_t c = 0; c < run.count; c++, cluster++) visit(cluster, run.starts[c + 1] - run.starts[c]);
}

} // namespace

const std::vector<uint32_t>& Selection::choose(const float* ranks, const std::vector<ClusterSizes>& runs,
                                               size_t budget) {
    std::fill(histogram_.begin(), histogram_.end(), 0);
    each_cluster(runs, [&](uint32_t cluster, uint32_t tokens) {
        histogram_[std::bit_cast<uint32_t>(ranks[cluster]) >> kBucketShift] += tokens;
    });
    size_t bucket = histogram_.size(), taken = 0;
    while (bucket > 0 && taken + histogram_[bucket - 1] <= budget) taken += histogram_[--bucket];
    // Every bucket from here on fits as a whole; the one below is the edge.
    const uint32_t floor = static_cast<uint32_t>(bucket);
    edge_.clear();
    chosen_.clear();
    each_cluster(runs, [&](uint32_t cluster, uint32_t tokens) {
        const uint32_t bits = std::bit_cast<uint32_t>(ranks[cluster]);
        if ((bits >> kBucketShift) >= floor)
            chosen_.push_back(cluster);
        else if ((bits >> kBucketShift) + 1 == floor)
            edge_.push_back({bits, cluster, tokens});
    });
    if (taken < budget) {
        std::sort(edge_.begin(), edge_.end(), [](const Candidate& a, const Candidate& b) {
            return a.bits != b.bits ? a.bits > b.bits : a.cluster < b.cluster;
        });
        for (size_t i = 0; i < edge_.size() && taken < budget; i++) {
            chosen_.push_back(edge_[i].cluster);
            taken += edge_[i].tokens;
        }
        std::sort(chosen_.begin(), chosen_.end());
    }
    return chosen_;
}

} // namespace wave
