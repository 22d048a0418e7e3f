// Slots in eight bits per element, as segment files may keep them: what is left of a cluster's keys and
// values when their means are taken away, in steps of one size for its keys and one for its values. Without
// the means the few elements of keys that are large in every token would set the step: of the 0.5B model's
// keys the error was 6.5 % of each element's deviation (mean over elements; median 2.2 %), with them 1.3 %
// (median .8 %).
//
// A pack is a PackHeader, the mean key and the mean value in the shape's type, and for each token its key
// [dk] and its value [dv] as signed bytes.
#pragma once

#include "kv.h"

namespace wave {

struct PackHeader {
    uint32_t tokens;
    float key_step, value_step;
};

/// Most tokens of a pack where there are no clusters.
constexpr size_t kPackTokens = 16;

inline size_t pack_front(const KvShape& shape) {
    return sizeof(PackHeader) + shape.slot_bytes();
}
inline size_t pack_bytes(const KvShape& shape, size_t tokens) {
    return pack_front(shape) + tokens * shape.slot_elements();
}

/// @param slots [tokens] @param to room for pack_bytes
void pack(const KvShape& shape, const uint8_t* slots, size_t tokens, uint8_t* to);

/// @param front the pack's first pack_front bytes @param rows its rows of `tokens` tokens
/// @param to room for as many slots; the rows may be the last bytes of it
void unpack(const KvShape& shape, const uint8_t* front, const uint8_t* rows, size_t tokens, uint8_t* to);

} // namespace wave
