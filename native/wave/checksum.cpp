#include "checksum.h"

#include <array>
#include <cstring>
#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace wave {
namespace {

constexpr std::array<uint32_t, 256> make_table() {
    std::array<uint32_t, 256> table{};
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t crc = i;
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
        table[i] = crc;
    }
    return table;
}
constexpr std::array<uint32_t, 256> kTable = make_table();

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) uint32_t crc32c_sse42(const void* data, size_t n, uint32_t crc) {
    const auto* p = static_cast<const uint8_t*>(data);
    uint64_t state = ~crc;
    for (; n >= 8; p += 8, n -= 8) {
        uint64_t word;
        std::memcpy(&word, p, 8);
        state = _mm_crc32_u64(state, word);
    }
    auto last = static_cast<uint32_t>(state);
    for (; n > 0; p++, n--) last = _mm_crc32_u8(last, *p);
    return ~last;
}
#endif

using Function = uint32_t (*)(const void*, size_t, uint32_t);

Function choose() {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("sse4.2")) return crc32c_sse42;
#endif
    return crc32c_portable;
}

} // namespace

uint32_t crc32c_portable(const void* data, size_t n, uint32_t crc) {
    const auto* p = static_cast<const uint8_t*>(data);
    crc = ~crc;
    for (; n > 0; p++, n--) crc = crc >> 8 ^ kTable[(crc ^ *p) & 0xff];
    return ~crc;
}

uint32_t crc32c(const void* data, size_t n, uint32_t crc) {
    static const Function chosen = choose();
    return chosen(data, n, crc);
}

} // namespace wave
