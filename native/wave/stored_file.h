// A file that is read at places all over it, and is there for as long as somebody may want to read it. A
// large repository has more segments than many systems allow open files, so a process keeps few descriptors:
// a file is opened again when it is read again.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <sys/uio.h>

namespace wave {

/// Threads may use one at the same time.
class StoredFile {
  public:
    /// Most descriptors of all such files that stay open; reads under way may have a few more.
    static constexpr size_t kMostOpen = 128;

    explicit StoredFile(std::string path);
    ~StoredFile();
    StoredFile(const StoredFile&) = delete;
    StoredFile& operator=(const StoredFile&) = delete;

    const std::string& path() const { return path_; }
    /// Reads as many bytes as the parts hold; at most IOV_MAX of them, which are changed.
    /// @returns 0, what errno said, or ENODATA when the file ends too soon
    int read(uint64_t offset, iovec* parts, size_t count) const noexcept;
    /// @returns as read
    int size(uint64_t& bytes) const noexcept;

  private:
    struct Descriptor {
        int fd;
        ~Descriptor();
    };
    std::shared_ptr<const Descriptor> open() const;

    std::string path_;
    // With the lock of all of them:
    mutable std::shared_ptr<const Descriptor> descriptor_; ///< null while it is closed
    mutable std::list<const StoredFile*>::iterator place_; ///< among the open ones
};

} // namespace wave
