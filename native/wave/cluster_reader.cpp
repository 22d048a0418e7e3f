#include "cluster_reader.h"

#include <algorithm>
#include <cerrno>
#include <unistd.h>

namespace wave {

ClusterFile::ClusterFile(int fd, size_t slot_bytes, std::vector<StoredHead> heads)
    : fd_(fd), slot_bytes_(slot_bytes), heads_(std::move(heads)) {}

ClusterFile::~ClusterFile() {
    ::close(fd_);
}

bool ClusterFile::read(uint64_t offset, iovec* parts, size_t count) const noexcept {
    while (count > 0) {
        const ssize_t done = ::preadv(fd_, parts, static_cast<int>(count), static_cast<off_t>(offset));
        if (done < 0 && errno == EINTR) continue;
        if (done <= 0) return false;
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
    return true;
}

} // namespace wave
