#include "segment_file.h"

#include "segment_layout.h"

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <exception>
#include <fcntl.h>
#include <filesystem>
#include <mutex>
#include <random>
#include <sys/mman.h>
#include <sys/stat.h>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <utility>

namespace wave {
namespace {

constexpr uint64_t kMagic = 0x0053474556415752; // "RWAVEGS\0"
constexpr uint32_t kVersion = 3;

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
    header.file_bytes = Layout(shape, tail.tokens(), meta.size()).end;
    header.checksum = checksum(&header, offsetof(Header, checksum));
    return header;
}

/// One per layer and head; null where the layer has no index.
using Indexes = std::vector<std::unique_ptr<BuiltClusters>>;

/// Layer by layer and head by head, shared out among threads; the result does not depend on their number.
Indexes build_indexes(const KvTail& tail, const SegmentSettings& settings) {
    const KvShape& shape = tail.shape();
    Indexes indexes(static_cast<size_t>(shape.layers) * shape.kv_heads);
    std::atomic<size_t> next{0};
    std::exception_ptr failure;
    std::mutex mutex;
    const auto work = [&] {
        try {
            for (size_t i; (i = next.fetch_add(1)) < indexes.size();) {
                const uint32_t layer = static_cast<uint32_t>(i / shape.kv_heads);
                if (!settings.without_index.empty() && settings.without_index[layer]) continue;
                indexes[i] = std::make_unique<BuiltClusters>(
                    shape, tail.run(layer, static_cast<uint32_t>(i % shape.kv_heads), tail.tokens()));
            }
        } catch (...) {
            const std::lock_guard lock(mutex);
            failure = std::current_exception();
        }
    };
    std::vector<std::thread> others;
    for (int i = 1; i < settings.threads; i++) others.emplace_back(work);
    work();
    for (std::thread& other : others) other.join();
    if (failure) std::rethrow_exception(failure);
    return indexes;
}

/// Pads a part up to where the next one begins.
void write_part(File& file, const void* data, size_t bytes, size_t room) {
    file.write(data, bytes);
    file.pad(room - bytes);
}

void write_index(File& file, const KvShape& shape, size_t n, const Layout& at, const BuiltClusters* built) {
    if (!built) return file.pad(at.index_stride);
    const Clusters c = built->view();
    const size_t fine = c.fine.count, coarse = c.coarse.count;
    write_part(file, c.fine.keys, fine * shape.key_bytes(), at.fine_values);
    write_part(file, c.fine.values, fine * shape.value_bytes(), at.fine_sizes - at.fine_values);
    write_part(file, c.fine.log_sizes, fine * sizeof(float), at.starts - at.fine_sizes);
    write_part(file, c.starts, (fine + 1) * sizeof(uint32_t), at.coarse_keys - at.starts);
    write_part(file, c.coarse.keys, coarse * shape.key_bytes(), at.coarse_values - at.coarse_keys);
    write_part(file, c.coarse.values, coarse * shape.value_bytes(), at.coarse_sizes - at.coarse_values);
    write_part(file, c.coarse.log_sizes, coarse * sizeof(float), at.tokens - at.coarse_sizes);
    write_part(file, c.tokens, n * sizeof(uint16_t), at.index_stride - at.tokens);
}

/// Rows in the order of the clusters.
void write_rows(File& file, const void* data, size_t row, size_t tokens, const BuiltClusters* built,
                std::vector<uint8_t>& buffer) {
    const auto* from = static_cast<const uint8_t*>(data);
    if (built) {
        buffer.resize(tokens * row);
        for (size_t slot = 0; slot < tokens; slot++)
            std::memcpy(buffer.data() + slot * row, from + built->order()[slot] * row, row);
        from = buffer.data();
    }
    write_part(file, from, tokens * row, run_bytes(tokens, row));
}

void write_all(File& file, const KvTail& tail, const std::string& meta, const Indexes& indexes) {
    const KvShape& shape = tail.shape();
    const size_t n = tail.tokens();
    const Layout at(shape, n, meta.size());
    const Header header = make_header(tail, meta);
    write_part(file, &header, sizeof header, kHeaderBytes);
    write_part(file, meta.data(), meta.size(), at.counts - kHeaderBytes);
    std::vector<uint32_t> counts;
    for (const auto& built : indexes) {
        counts.push_back(built ? built->view().fine.count : 0);
        counts.push_back(built ? built->view().coarse.count : 0);
    }
    write_part(file, counts.data(), counts.size() * sizeof(uint32_t), at.index - at.counts);
    for (const auto& built : indexes) write_index(file, shape, n, at, built.get());
    std::vector<uint8_t> buffer;
    for (size_t i = 0; i < indexes.size(); i++) {
        const KvRun run =
            tail.run(static_cast<uint32_t>(i / shape.kv_heads), static_cast<uint32_t>(i % shape.kv_heads), n);
        write_rows(file, run.slots, shape.slot_bytes(), n, indexes[i].get(), buffer);
    }
    file.sync();
}

double seconds_since(std::chrono::steady_clock::time_point start) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

} // namespace

SegmentSeconds write_segment(const std::string& path, const KvTail& tail, const std::string& meta,
                             const SegmentSettings& settings) {
    if (tail.tokens() > 1 << 16) throw std::length_error("a segment of more than 65,536 tokens");
    SegmentSeconds seconds;
    auto start = std::chrono::steady_clock::now();
    const Indexes indexes = build_indexes(tail, settings);
    seconds.index = seconds_since(start);

    start = std::chrono::steady_clock::now();
    std::random_device random; // not the process's id: containers that share a store have the same ones
    const std::string temporary = path + ".tmp-" + std::to_string(random()) + std::to_string(random());
    {
        File file(temporary, O_WRONLY | O_CREAT | O_EXCL);
        try {
            write_all(file, tail, meta, indexes);
            if (::rename(temporary.c_str(), path.c_str()) != 0) fail(path);
        } catch (...) {
            ::unlink(temporary.c_str());
            throw;
        }
    }
    const File directory(std::filesystem::path(path).parent_path().string(), O_RDONLY | O_DIRECTORY);
    // Some network file systems cannot, and need not, sync a directory.
    if (::fsync(directory.fd()) != 0 && errno != EINVAL && errno != ENOTSUP) fail(path);
    seconds.disk = seconds_since(start);
    return seconds;
}

Segment::Segment(const std::string& path) : path_(path) {
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
    const Layout at(shape_, tokens_, header.meta_bytes);
    if (header.dtype > 1 || tokens_ > 1 << 16 || header.file_bytes != at.end)
        throw SegmentCorrupt(path + " has sizes that do not fit together");
    size_ = header.file_bytes;
    void* mapped = ::mmap(nullptr, size_, PROT_READ, MAP_SHARED, file.fd(), 0);
    if (mapped == MAP_FAILED) fail(path);
    base_ = static_cast<const uint8_t*>(mapped);
    counts_ = base_ + at.counts, index_ = base_ + at.index, data_ = base_ + at.data;
    meta_.assign(reinterpret_cast<const char*>(base_) + kHeaderBytes, header.meta_bytes);
    try {
        if (checksum(meta_.data(), meta_.size()) != header.meta_checksum)
            throw SegmentCorrupt(path + " has damaged metadata");
        check_index();
    } catch (...) {
        ::munmap(mapped, size_);
        throw;
    }
}

Segment::~Segment() {
    ::munmap(const_cast<uint8_t*>(base_), size_);
}

/// What attention follows without looking: a damaged number must not lead it out of the file.
void Segment::check_index() const {
    const size_t fine = cluster_limit(tokens_), coarse = cluster_limit(fine);
    for (uint32_t layer = 0; layer < shape_.layers; layer++)
        for (uint32_t head = 0; head < shape_.kv_heads; head++) {
            const Clusters c = clusters(layer, head);
            bool good = c.fine.count <= fine && c.coarse.count <= coarse;
            // All heads of a layer have an index, or none has: attention asks the first.
            good =
                good && (c.fine.count > 0) == has_index(layer) && (c.fine.count > 0) == (c.coarse.count > 0);
            if (good && c.fine.count > 0) {
                good = c.starts[0] == 0 && c.starts[c.fine.count] == tokens_;
                for (uint32_t i = 0; i < c.fine.count; i++) good = good && c.starts[i] <= c.starts[i + 1];
            }
            if (!good) throw SegmentCorrupt(path_ + " has a damaged index");
        }
}

size_t Segment::index_bytes() const {
    return static_cast<size_t>(data_ - counts_);
}

KvRun Segment::run(uint32_t layer, uint32_t head) const {
    const Layout at(shape_, tokens_, meta_.size());
    return {data_ + (static_cast<size_t>(layer) * shape_.kv_heads + head) * at.data_stride, tokens_};
}

Clusters Segment::clusters(uint32_t layer, uint32_t head) const {
    const Layout at(shape_, tokens_, meta_.size());
    const size_t i = static_cast<size_t>(layer) * shape_.kv_heads + head;
    const uint8_t* base = index_ + i * at.index_stride;
    const auto* counts = reinterpret_cast<const uint32_t*>(counts_) + 2 * i;
    const auto floats = [&](size_t offset) { return reinterpret_cast<const float*>(base + offset); };
    return {{base, base + at.fine_values, floats(at.fine_sizes), counts[0]},
            reinterpret_cast<const uint32_t*>(base + at.starts),
            {base + at.coarse_keys, base + at.coarse_values, floats(at.coarse_sizes), counts[1]},
            reinterpret_cast<const uint16_t*>(base + at.tokens)};
}

} // namespace wave
