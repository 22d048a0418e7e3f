// How a few heads' queries spread their attention over segments: what the gate ranks segments by.
#pragma once

#include "segment_file.h"

namespace wave {

/// Queries of one query head.
struct HeadQueries {
    uint32_t layer, kv_head;
    std::vector<float> q; ///< [count][dk], multiplied by the softmax scale
};

/// Reads the keys from the segments' files; throws as Segment does. The queries attend exactly to all keys of
/// the segments, to nothing else and at no other weight than 1.
/// @returns [heads][segments] share of each head's mass, summed over its queries
std::vector<float> head_mass(const KvShape& shape, const std::vector<HeadQueries>& heads,
                             const std::vector<std::shared_ptr<const Segment>>& segments, int threads);

} // namespace wave
