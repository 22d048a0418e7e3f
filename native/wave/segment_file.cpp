#include "segment_file.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <random>
#include <sys/mman.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

namespace wave {
namespace {

constexpr uint64_t kMagic = 0x0053474556415752; // "RWAVEGS\0"
constexpr uint32_t kVersion = 1;
constexpr size_t kHeaderBytes = 4096;

struct Header {
    uint64_t magic;
    uint32_t version, dtype, layers, kv_heads, dk, dv;
    uint64_t tokens, meta_bytes, meta_checksum, file_bytes;
    uint64_t checksum; ///< of all fields before
};

/// FNV-1a, 64 bits (http://www.isthe.com/chongo/tech/comp/fnv/).
uint64_t checksum(const void* data, size_t n) {
    uint64_t hash = 0xcbf29ce484222325;
    for (size_t i = 0; i < n; i++) hash = (hash ^ static_cast<const uint8_t*>(data)[i]) * 0x100000001b3;
    return hash;
}

size_t round_up(size_t n, size_t unit) {
    return (n + unit - 1) / unit * unit;
}

/// Bytes of one head's keys or values in the file.
size_t run_bytes(size_t tokens, size_t row) {
    return round_up(tokens * row, 64);
}

size_t head_bytes(const KvShape& shape, size_t tokens) {
    return run_bytes(tokens, shape.key_bytes()) + run_bytes(tokens, shape.value_bytes());
}

size_t data_offset(size_t meta_bytes) {
    return kHeaderBytes + round_up(meta_bytes, 4096);
}

size_t file_bytes(const KvShape& shape, size_t tokens, size_t meta_bytes) {
    return data_offset(meta_bytes) +
           static_cast<size_t>(shape.layers) * shape.kv_heads * head_bytes(shape, tokens);
}

[[noreturn]] void fail(const std::string& what) {
    const int error = errno;
    if (error == ENOSPC || error == EDQUOT) throw NoSpace(what + ": no space left on the device");
    throw std::system_error(error, std::generic_category(), what);
}

class File {
  public:
    File(const std::string& path, int flags)
        : path_(path), fd_(::open(path.c_str(), flags | O_CLOEXEC, 0644)) {
        if (fd_ < 0) fail(path);
    }
    ~File() { ::close(fd_); }
    int fd() const { return fd_; }

    void write(const void* data, size_t n) {
        for (const auto* p = static_cast<const uint8_t*>(data); n > 0;) {
            const ssize_t done = ::write(fd_, p, n);
            if (done < 0 && errno == EINTR) continue;
            if (done < 0) fail(path_);
            p += done, n -= done;
        }
    }
    void pad(size_t n) {
        static const uint8_t zeros[4096] = {};
        for (; n > 0; n -= std::min(n, sizeof zeros)) write(zeros, std::min(n, sizeof zeros));
    }
    void sync() {
        if (::fsync(fd_) != 0) fail(path_);
    }

  private:
    std::string path_;
    int fd_;
};

Header make_header(const KvTail& tail, const std::string& meta) {
    const KvShape& shape = tail.shape();
    Header header{};
    header.magic = kMagic, header.version = kVersion, header.dtype = static_cast<uint32_t>(shape.type);
    header.layers = shape.layers, header.kv_heads = shape.kv_heads, header.dk = shape.dk,
    header.dv = shape.dv;
    header.tokens = tail.tokens(), header.meta_bytes = meta.size();
    header.meta_checksum = checksum(meta.data(), meta.size());
    header.file_bytes = file_bytes(shape, tail.tokens(), meta.size());
    header.checksum = checksum(&header, offsetof(Header, checksum));
    return header;
}

void write_all(File& file, const KvTail& tail, const std::string& meta) {
    const KvShape& shape = tail.shape();
    const Header header = make_header(tail, meta);
    file.write(&header, sizeof header);
    file.pad(kHeaderBytes - sizeof header);
    file.write(meta.data(), meta.size());
    file.pad(round_up(meta.size(), 4096) - meta.size());
    const auto write_run = [&](const void* data, size_t row) {
        const size_t n = tail.tokens() * row;
        file.write(data, n);
        file.pad(run_bytes(tail.tokens(), row) - n);
    };
    for (uint32_t layer = 0; layer < shape.layers; layer++)
        for (uint32_t head = 0; head < shape.kv_heads; head++) {
            const KvRun run = tail.run(layer, head, tail.tokens());
            write_run(run.k, shape.key_bytes());
            write_run(run.v, shape.value_bytes());
        }
    file.sync();
}

} // namespace

void write_segment(const std::string& path, const KvTail& tail, const std::string& meta) {
    std::random_device random; // not the process's id: containers that share a store have the same ones
    const std::string temporary = path + ".tmp-" + std::to_string(random()) + std::to_string(random());
    {
        File file(temporary, O_WRONLY | O_CREAT | O_EXCL);
        try {
            write_all(file, tail, meta);
            if (::rename(temporary.c_str(), path.c_str()) != 0) fail(path);
        } catch (...) {
            ::unlink(temporary.c_str());
            throw;
        }
    }
    const File directory(std::filesystem::path(path).parent_path().string(), O_RDONLY | O_DIRECTORY);
    // Some network file systems cannot, and need not, sync a directory.
    if (::fsync(directory.fd()) != 0 && errno != EINVAL && errno != ENOTSUP) fail(path);
}

Segment::Segment(const std::string& path) {
    const File file(path, O_RDONLY);
    struct stat info;
    if (::fstat(file.fd(), &info) != 0) fail(path);
    Header header{};
    const bool read = ::pread(file.fd(), &header, sizeof header, 0) == sizeof header;
    if (!read || header.magic != kMagic) throw SegmentCorrupt(path + " is not a segment file");
    if (header.version != kVersion) throw SegmentCorrupt(path + " was written by another version");
    if (header.checksum != checksum(&header, offsetof(Header, checksum)))
        throw SegmentCorrupt(path + " has a damaged header");
    if (header.file_bytes != static_cast<uint64_t>(info.st_size))
        throw SegmentCorrupt(path + " is incomplete");
    shape_ = {header.layers, header.kv_heads, header.dk, header.dv, static_cast<DType>(header.dtype)};
    tokens_ = header.tokens;
    if (header.dtype > 1 || header.file_bytes != file_bytes(shape_, tokens_, header.meta_bytes))
        throw SegmentCorrupt(path + " has sizes that do not fit together");
    size_ = header.file_bytes;
    void* mapped = ::mmap(nullptr, size_, PROT_READ, MAP_SHARED, file.fd(), 0);
    if (mapped == MAP_FAILED) fail(path);
    base_ = static_cast<const uint8_t*>(mapped);
    data_ = base_ + data_offset(header.meta_bytes);
    meta_.assign(reinterpret_cast<const char*>(base_) + kHeaderBytes, header.meta_bytes);
    if (checksum(meta_.data(), meta_.size()) != header.meta_checksum) {
        ::munmap(mapped, size_);
        throw SegmentCorrupt(path + " has damaged metadata");
    }
}

Segment::~Segment() {
    ::munmap(const_cast<uint8_t*>(base_), size_);
}

KvRun Segment::run(uint32_t layer, uint32_t head, float bias) const {
    const uint8_t* k =
        data_ + (static_cast<size_t>(layer) * shape_.kv_heads + head) * head_bytes(shape_, tokens_);
    return {k, k + run_bytes(tokens_, shape_.key_bytes()), tokens_, bias};
}

} // namespace wave
