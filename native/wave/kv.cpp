#include "kv.h"

#include <algorithm>
#include <atomic>
#include <cstring>

namespace wave {

uint64_t new_identity() {
    static std::atomic<uint64_t> last{0};
    return ++last;
}

void KvTail::reserve(size_t n) {
    if (n <= capacity_) return;
    const size_t capacity = std::max(n, capacity_ + capacity_ / 2);
    for (AlignedBytes& old : slots_) {
        AlignedBytes bigger = aligned_bytes(capacity * shape_.slot_bytes());
        if (tokens_) std::memcpy(bigger.get(), old.get(), tokens_ * shape_.slot_bytes());
        old = std::move(bigger);
    }
    capacity_ = capacity;
}

/// offset: within each slot, in bytes
void KvTail::write(size_t offset, uint32_t layer, uint32_t head, uint32_t d, size_t at, size_t n,
                   const uint8_t* x, size_t stride) {
    uint8_t* out = slots_[layer * shape_.kv_heads + head].get() + at * shape_.slot_bytes() + offset;
    for (size_t t = 0; t < n; t++, out += shape_.slot_bytes()) {
        const float* in = reinterpret_cast<const float*>(x + t * stride) + static_cast<size_t>(head) * d;
        if (shape_.type == DType::f16)
            kernels().to_f16(in, reinterpret_cast<uint16_t*>(out), d);
        else
            std::memcpy(out, in, d * sizeof(float));
    }
}

} // namespace wave
