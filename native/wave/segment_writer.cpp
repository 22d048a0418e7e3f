#include "device.h"
#include "segment_file.h"

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <exception>
#include <fcntl.h>
#include <filesystem>
#include <mutex>
#include <random>
#include <system_error>
#include <thread>
#include <unistd.h>

namespace wave {
namespace {

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

    void write(size_t offset, const void* data, size_t n) {
        for (const auto* p = static_cast<const uint8_t*>(data); n > 0;) {
            const ssize_t done = ::pwrite(fd_, p, n, static_cast<off_t>(offset));
            if (done < 0 && errno == EINTR) continue;
            if (done < 0) fail(path_);
            p += done, offset += static_cast<size_t>(done), n -= static_cast<size_t>(done);
        }
    }
    void sync() {
        if (::fsync(fd_) != 0) fail(path_);
    }

  private:
    std::string path_;
    int fd_;
};

/// One per layer and head; null where the layer has no index.
using Indexes = std::vector<std::unique_ptr<BuiltClusters>>;

KvRun run_of(const KvTail& tail, size_t head) {
    const uint32_t heads = tail.shape().kv_heads;
    return tail.run(static_cast<uint32_t>(head / heads), static_cast<uint32_t>(head % heads), tail.tokens());
}

/// [layers] of [kv_heads][tokens], as the device finds them; empty where it does not.
std::vector<std::vector<uint32_t>> nearest_by_device(const KvTail& tail, const SegmentSettings& settings) {
    const KvShape& shape = tail.shape();
    std::vector<std::vector<uint32_t>> nearest(shape.layers);
    std::vector<KvRun> runs(shape.kv_heads);
    for (uint32_t layer = 0; settings.device && layer < shape.layers; layer++) {
        if (!settings.without_index.empty() && settings.without_index[layer]) continue;
        for (uint32_t head = 0; head < shape.kv_heads; head++)
            runs[head] = run_of(tail, layer * shape.kv_heads + head);
        nearest[layer] = settings.device->nearest(layer, runs.data());
    }
    return nearest;
}

/// Layer by layer and head by head, shared out among threads; the result does not depend on their number.
Indexes build_indexes(const KvTail& tail, const SegmentSettings& settings) {
    const KvShape& shape = tail.shape();
    Indexes indexes(shape.heads());
    const auto nearest = nearest_by_device(tail, settings);
    std::atomic<size_t> next{0};
    std::exception_ptr failure;
    std::mutex mutex;
    const auto work = [&] {
        try {
            for (size_t i; (i = next.fetch_add(1)) < indexes.size();) {
                if (!settings.without_index.empty() && settings.without_index[i / shape.kv_heads]) continue;
                const std::vector<uint32_t>& known = nearest[i / shape.kv_heads];
                indexes[i] = std::make_unique<BuiltClusters>(
                    shape, run_of(tail, i),
                    known.empty() ? nullptr : known.data() + i % shape.kv_heads * tail.tokens());
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

/// All that comes before the slots.
class Front {
  public:
    Front(const KvTail& tail, const std::string& meta, bool packed)
        : shape_(tail.shape()), packed_(packed), tokens_(tail.tokens()),
          at_(shape_, tokens_, meta.size(), packed), bytes_(at_.data) {
        SegmentHeader& header = page().header;
        header.magic = kSegmentMagic, header.version = kSegmentVersion;
        header.dtype = static_cast<uint32_t>(shape_.type);
        header.layers = shape_.layers, header.kv_heads = shape_.kv_heads;
        header.dk = shape_.dk, header.dv = shape_.dv;
        header.packed = packed_, header.tokens = tokens_, header.meta_bytes = meta.size(),
        header.file_bytes = at_.end;
        std::memcpy(bytes_.data() + kHeaderBytes, meta.data(), meta.size());
    }
    const Layout& layout() const { return at_; }
    bool packed() const { return packed_; }

    /// @param slots of the head in the file's order, or their packs, data_stride bytes
    void add(size_t head, const BuiltClusters* built, const uint8_t* slots) {
        TableEntry& entry = reinterpret_cast<TableEntry*>(bytes_.data() + at_.table)[head];
        entry.checksum = crc32c(slots, at_.data_stride);
        if (!built) return;
        const Clusters c = built->view();
        entry.fine = c.fine.count, entry.coarse = c.coarse.count;
        put(c.coarse, at_.coarse + head * at_.coarse_stride, at_.coarse_values, at_.coarse_sizes);
        put(c.fine, at_.fine + head * at_.fine_stride, at_.fine_values, at_.fine_sizes);
        uint8_t* order = bytes_.data() + at_.order + head * at_.order_stride;
        std::memcpy(order, c.starts, (c.fine.count + 1) * sizeof(uint32_t));
        std::memcpy(order + at_.tokens, c.tokens, tokens_ * sizeof(uint16_t));
        auto* checksums = reinterpret_cast<uint32_t*>(order + at_.checksums);
        for (uint32_t i = 0; i < c.fine.count; i++) {
            const size_t n = c.starts[i + 1] - c.starts[i];
            const size_t bytes = packed() ? pack_bytes(shape_, n) : n * shape_.slot_bytes();
            checksums[i] = crc32c(std::exchange(slots, slots + bytes), bytes);
        }
    }
    const std::vector<uint8_t>& seal() {
        SegmentHeader& header = page().header;
        header.meta = checksum(kHeaderBytes, at_.table), header.table = checksum(at_.table, at_.coarse);
        header.coarse = checksum(at_.coarse, at_.order), header.order = checksum(at_.order, at_.fine);
        header.fine = checksum(at_.fine, at_.data);
        page().checksum = page().expected();
        return bytes_;
    }

  private:
    HeaderPage& page() { return *reinterpret_cast<HeaderPage*>(bytes_.data()); }
    uint32_t checksum(size_t begin, size_t end) const { return crc32c(bytes_.data() + begin, end - begin); }
    void put(const Summaries& level, size_t begin, size_t values, size_t sizes) {
        uint8_t* to = bytes_.data() + begin;
        std::memcpy(to, level.keys, level.count * shape_.key_bytes());
        std::memcpy(to + values, level.values, level.count * shape_.value_bytes());
        std::memcpy(to + sizes, level.log_sizes, level.count * sizeof(float));
    }

    KvShape shape_;
    bool packed_;
    size_t tokens_;
    Layout at_;
    std::vector<uint8_t> bytes_;
};

/// Cluster by cluster, or by sixteen tokens where there are none.
std::vector<uint8_t> pack_all(const KvTail& tail, const BuiltClusters* built, const uint8_t* slots,
                              size_t bytes) {
    const KvShape& shape = tail.shape();
    std::vector<uint8_t> packs(bytes);
    uint8_t* to = packs.data();
    for (size_t begin = 0, end, c = 0; begin < tail.tokens(); begin = end, c++) {
        end = built ? built->view().starts[c + 1] : std::min(tail.tokens(), begin + kPackTokens);
        pack(shape, slots + begin * shape.slot_bytes(), end - begin, to);
        to += pack_bytes(shape, end - begin);
    }
    return packs;
}

void write_all(File& file, const KvTail& tail, const std::string& meta, const Indexes& indexes, bool packed) {
    const size_t slot = tail.shape().slot_bytes();
    Front front(tail, meta, packed);
    const Layout& at = front.layout();
    std::vector<uint8_t> slots(std::max(at.data_stride, tail.tokens() * slot));
    for (size_t head = 0; head < indexes.size(); head++) {
        const uint8_t* from = run_of(tail, head).slots;
        for (size_t i = 0; i < tail.tokens(); i++)
            std::memcpy(slots.data() + i * slot,
                        from + (indexes[head] ? indexes[head]->order()[i] : i) * slot, slot);
        const std::vector<uint8_t> packs =
            front.packed() ? pack_all(tail, indexes[head].get(), slots.data(), at.data_stride)
                           : std::vector<uint8_t>{};
        const uint8_t* stored = front.packed() ? packs.data() : slots.data();
        front.add(head, indexes[head].get(), stored);
        file.write(at.data + head * at.data_stride, stored, at.data_stride);
    }
    file.write(0, front.seal().data(), at.data);
    file.sync();
}

double seconds_since(std::chrono::steady_clock::time_point start) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

} // namespace

SegmentSeconds write_segment(const std::string& path, const KvTail& tail, const std::string& meta,
                             const SegmentSettings& settings) {
    if (tail.tokens() > kMostTokens) throw std::length_error("a segment of more than 65,536 tokens");
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
            write_all(file, tail, meta, indexes, settings.packed);
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

} // namespace wave
