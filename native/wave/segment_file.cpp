#include "segment_file.h"

#include <cerrno>
#include <cstring>
#include <system_error>

namespace wave {

Segment::Segment(const std::string& path) : file_(std::make_shared<const StoredFile>(path)) {
    uint64_t size;
    if (const int error = file_->size(size)) throw std::system_error(error, std::generic_category(), path);
    HeaderPage page;
    if (size < sizeof page) corrupt("is not a segment file");
    read(0, &page, sizeof page);
    header_ = page.header;
    if (header_.magic != kSegmentMagic) corrupt("is not a segment file");
    if (header_.version != kSegmentVersion) corrupt("was written by another version");
    if (page.checksum != page.expected()) corrupt("has a damaged header");
    if (header_.file_bytes != size) corrupt("is incomplete");
    shape_ = {header_.layers, header_.kv_heads, header_.dk, header_.dv, static_cast<DType>(header_.dtype)};
    tokens_ = header_.tokens;
    if (header_.dtype > 1 || header_.packed > 1 || tokens_ > kMostTokens)
        corrupt("has sizes that do not fit together");
    layout_ = Layout(shape_, tokens_, header_.meta_bytes, packed());
    if (size != layout_.end) corrupt("has sizes that do not fit together");

    const AlignedBytes meta = read_part(kHeaderBytes, layout_.table, header_.meta, "metadata");
    meta_.assign(reinterpret_cast<const char*>(meta.get()), header_.meta_bytes);
    const AlignedBytes table = read_part(layout_.table, layout_.coarse, header_.table, "index");
    const auto* entries = reinterpret_cast<const TableEntry*>(table.get());
    table_.assign(entries, entries + shape_.heads());
}

void Segment::read(size_t offset, void* to, size_t n) const {
    if (n == 0) return;
    iovec part{to, n};
    const int error = file_->read(offset, &part, 1);
    if (error == ENODATA) corrupt("is incomplete");
    if (error == ENOENT || error == ESTALE) corrupt("is not there any more");
    if (error != 0) throw std::system_error(error, std::generic_category(), file_->path());
}

void Segment::corrupt(const std::string& what) const {
    throw SegmentCorrupt(file_->path() + " " + what);
}

AlignedBytes Segment::read_part(size_t begin, size_t end, uint32_t checksum, const char* what) const {
    AlignedBytes bytes = aligned_bytes(end - begin);
    read(begin, bytes.get(), end - begin);
    if (crc32c(bytes.get(), end - begin) != checksum) corrupt(std::string("has damaged ") + what);
    return bytes;
}

AlignedBytes Segment::read_coarse() const {
    return read_part(layout_.coarse, layout_.order, header_.coarse, "coarse summaries");
}

AlignedBytes Segment::read_order() const {
    return read_part(layout_.order, layout_.fine, header_.order, "clusters");
}

AlignedBytes Segment::read_fine() const {
    return read_part(layout_.fine, layout_.data, header_.fine, "summaries");
}

void Segment::read_slots(size_t head, uint8_t* to) const {
    const AlignedBytes packs = packed() ? aligned_bytes(layout_.data_stride) : nullptr;
    uint8_t* stored = packs ? packs.get() : to;
    read(layout_.data + head * layout_.data_stride, stored, layout_.data_stride);
    if (crc32c(stored, layout_.data_stride) != entry(head).checksum) corrupt("has damaged keys and values");
    if (packs) unpack_all(stored, to);
}

/// One pack after the other. Their bytes were checked, and that they end where they must is checked here.
void Segment::unpack_all(const uint8_t* packs, uint8_t* to) const {
    const uint8_t* const end = packs + layout_.data_stride;
    for (size_t token = 0; token < tokens_;) {
        PackHeader header{};
        if (packs + sizeof header <= end) std::memcpy(&header, packs, sizeof header);
        if (header.tokens == 0 || header.tokens > tokens_ - token ||
            pack_bytes(shape_, header.tokens) > static_cast<size_t>(end - packs))
            corrupt("has sizes that do not fit together");
        unpack(shape_, packs, packs + pack_front(shape_), header.tokens, to + token * shape_.slot_bytes());
        packs += pack_bytes(shape_, header.tokens);
        token += header.tokens;
    }
}

void Segment::verify() const {
    read_coarse();
    read_order();
    read_fine();
    const AlignedBytes slots = aligned_bytes(slots_bytes());
    for (size_t head = 0; head < shape_.heads(); head++) read_slots(head, slots.get());
}

} // namespace wave
