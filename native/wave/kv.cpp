#include "kv.h"

#include <algorithm>
#include <cstring>

namespace wave {

void KvTail::reserve(size_t n) {
    if (n <= capacity_) return;
    const size_t capacity = std::max(n, capacity_ + capacity_ / 2);
    const auto grow = [&](std::vector<AlignedBytes>& list, size_t row) {
        for (AlignedBytes& old : list) {
            AlignedBytes bigger = aligned_bytes(capacity * row);
            if (tokens_) std::memcpy(bigger.get(), old.get(), tokens_ * row);
            old = std::move(bigger);
        }
    };
    grow(keys_, shape_.key_bytes());
    grow(values_, shape_.value_bytes());
    capacity_ = capacity;
}

void KvTail::write(std::vector<AlignedBytes>& to, uint32_t layer, uint32_t head, uint32_t d, size_t at,
                   size_t n, const uint8_t* x, size_t stride) {
    const size_t row = d * dtype_size(shape_.type);
    uint8_t* out = to[layer * shape_.kv_heads + head].get() + at * row;
    for (size_t t = 0; t < n; t++, out += row) {
        const float* in = reinterpret_cast<const float*>(x + t * stride) + static_cast<size_t>(head) * d;
        if (shape_.type == DType::f16)
            kernels().to_f16(in, reinterpret_cast<uint16_t*>(out), d);
        else
            std::memcpy(out, in, row);
    }
}

} // namespace wave
