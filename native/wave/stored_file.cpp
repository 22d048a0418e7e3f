#include "stored_file.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <mutex>
#include <sys/stat.h>
#include <unistd.h>

namespace wave {
namespace {

/// The files whose descriptors are kept, the one read last first.
struct OpenFiles {
    std::mutex mutex;
    std::list<const StoredFile*> files;
};
/// Never destroyed: the buffer of a process is older than its first file, so that it goes later, and its
/// files with it.
OpenFiles& open_files() {
    static auto& files = *new OpenFiles;
    return files;
}

} // namespace

StoredFile::Descriptor::~Descriptor() {
    ::close(fd);
}

StoredFile::StoredFile(std::string path) : path_(std::move(path)) {}

StoredFile::~StoredFile() {
    const std::lock_guard lock(open_files().mutex);
    if (descriptor_) open_files().files.erase(place_);
}

/// Null with errno set when it cannot be opened. Nothing is opened under the lock.
std::shared_ptr<const StoredFile::Descriptor> StoredFile::open() const {
    auto& [mutex, files] = open_files();
    {
        const std::lock_guard lock(mutex);
        if (descriptor_) {
            files.splice(files.begin(), files, place_);
            return descriptor_;
        }
    }
    const int fd = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return nullptr;
    const std::shared_ptr<const Descriptor> opened(new Descriptor{fd});
    std::shared_ptr<const Descriptor> oldest; // closed when the lock is free again
    const std::lock_guard lock(mutex);
    if (descriptor_) return descriptor_; // another thread has been faster
    if (files.size() == kMostOpen) {
        oldest.swap(files.back()->descriptor_);
        files.pop_back();
    }
    place_ = files.insert(files.begin(), this);
    return descriptor_ = opened;
}

int StoredFile::read(uint64_t offset, iovec* parts, size_t count) const noexcept {
    const auto descriptor = open();
    if (!descriptor) return errno;
    while (count > 0) {
        const ssize_t done =
            ::preadv(descriptor->fd, parts, static_cast<int>(count), static_cast<off_t>(offset));
        if (done < 0 && errno == EINTR) continue;
        if (done <= 0) return done < 0 ? errno : ENODATA;
        offset += static_cast<uint64_t>(done);
        for (auto left = static_cast<size_t>(done); count > 0;) {
            const size_t step = std::min(left, parts->iov_len);
            parts->iov_base = static_cast<uint8_t*>(parts->iov_base) + step;
            parts->iov_len -= step;
            left -= step;
            if (parts->iov_len > 0) break;
            parts++, count--;
        }
    }
    return 0;
}

int StoredFile::size(uint64_t& bytes) const noexcept {
    const auto descriptor = open();
    struct stat info;
    if (!descriptor || ::fstat(descriptor->fd, &info) != 0) return errno;
    bytes = static_cast<uint64_t>(info.st_size);
    return 0;
}

} // namespace wave
