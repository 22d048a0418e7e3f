#include "segment_file.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

namespace wave {
namespace {

[[noreturn]] void fail(const std::string& what) {
    throw std::system_error(errno, std::generic_category(), what);
}

} // namespace

Segment::Segment(const std::string& path) : path_(path), fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    if (fd_ < 0) fail(path);
    try {
        open();
    } catch (...) {
        ::close(fd_);
        throw;
    }
}

Segment::~Segment() {
    ::close(fd_);
}

void Segment::corrupt(const std::string& what) const {
    throw SegmentCorrupt(path_ + " " + what);
}

void Segment::open() {
    struct stat info;
    if (::fstat(fd_, &info) != 0) fail(path_);
    const auto size = static_cast<uint64_t>(info.st_size);
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
    if (header_.dtype > 1 || tokens_ > kMostTokens) corrupt("has sizes that do not fit together");
    layout_ = Layout(shape_, tokens_, header_.meta_bytes);
    if (size != layout_.end) corrupt("has sizes that do not fit together");

    const AlignedBytes meta = read_part(kHeaderBytes, layout_.table, header_.meta, "metadata");
    meta_.assign(reinterpret_cast<const char*>(meta.get()), header_.meta_bytes);
    const AlignedBytes table = read_part(layout_.table, layout_.coarse, header_.table, "index");
    const auto* entries = reinterpret_cast<const TableEntry*>(table.get());
    table_.assign(entries, entries + shape_.heads());
}

void Segment::read(size_t offset, void* to, size_t n) const {
    for (auto* p = static_cast<uint8_t*>(to); n > 0;) {
        const ssize_t done = ::pread(fd_, p, n, static_cast<off_t>(offset));
        if (done < 0 && errno == EINTR) continue;
        if (done < 0) fail(path_);
        if (done == 0) corrupt("is incomplete");
        p += done, offset += static_cast<size_t>(done), n -= static_cast<size_t>(done);
    }
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
    read(layout_.data + head * layout_.data_stride, to, layout_.data_stride);
    if (crc32c(to, layout_.data_stride) != entry(head).checksum) corrupt("has damaged keys and values");
}

int Segment::duplicate() const {
    const int fd = ::fcntl(fd_, F_DUPFD_CLOEXEC, 0);
    if (fd < 0) fail(path_);
    return fd;
}

void Segment::verify() const {
    read_coarse();
    read_order();
    read_fine();
    const AlignedBytes slots = aligned_bytes(layout_.data_stride);
    for (size_t head = 0; head < shape_.heads(); head++) read_slots(head, slots.get());
}

} // namespace wave
