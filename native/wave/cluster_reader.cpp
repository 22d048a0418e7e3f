#include "cluster_reader.h"

#include "checksum.h"

namespace wave {

bool ClusterFile::read_all(uint32_t head, uint8_t* to) const {
    const StoredHead& stored = heads_[head];
    const uint64_t begin = offset(head, 0);
    const size_t bytes = offset(head, stored.clusters) - begin;
    const AlignedBytes packs = packed_ ? aligned_bytes(bytes) : nullptr;
    uint8_t* from = packs ? packs.get() : to;
    iovec part{from, bytes};
    if (!read(begin, &part, 1)) return false;
    for (uint32_t c = 0; c < stored.clusters; c++) {
        const uint8_t* cluster = from + (offset(head, c) - begin);
        if (crc32c(cluster, this->bytes(head, c)) != stored.checksums[c]) return false;
        if (packed_)
            unpack(shape_, cluster, cluster + pack_front(shape_), tokens(head, c),
                   to + stored.starts[c] * shape_.slot_bytes());
    }
    return true;
}

} // namespace wave
