// Which clusters are retrieved: those of the highest rank, until they hold as many tokens as the budget
// allows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace wave {

/// Sizes of consecutively numbered clusters, run by run.
struct ClusterSizes {
    const uint32_t* starts; ///< [count + 1]
    uint32_t count;
};

class Selection {
  public:
    /// Takes clusters by falling rank until they hold at least `budget` tokens; of equal ranks the first.
    /// Exact, by a histogram of the ranks' bits in place of a sort. ranks are >= 0, one per cluster of all
    /// runs.
    /// @returns the chosen clusters, ascending; valid until the next call
    const std::vector<uint32_t>& choose(const float* ranks, const std::vector<ClusterSizes>& runs,
                                        size_t budget);

  private:
    struct Candidate {
        uint32_t bits, cluster, tokens;
    };
    std::vector<size_t> histogram_ = std::vector<size_t>(1 << 12);
    std::vector<Candidate> edge_; ///< those in the bucket in which the budget runs out
    std::vector<uint32_t> chosen_;
};

} // namespace wave
