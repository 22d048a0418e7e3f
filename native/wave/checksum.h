// The checksum of stored clusters.
#pragma once

#include <cstddef>
#include <cstdint>

namespace wave {

/// CRC-32C (Castagnoli; RFC 3720, section 12.1 and appendix B.4). Parts in a row: hand on the result as
/// `crc`.
uint32_t crc32c(const void* data, size_t n, uint32_t crc = 0);

/// The same without the processor's instruction for it.
uint32_t crc32c_portable(const void* data, size_t n, uint32_t crc = 0);

} // namespace wave
