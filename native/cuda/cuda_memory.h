// Memory of the device inside a cap, and pinned memory of the host.
#pragma once

#include "../wave/page_arena.h"
#include "cuda_library.h"

#include <atomic>
#include <cstdint>
#include <utility>

namespace repowave {

/// Neither the cap nor the device leaves room.
struct NoDeviceRoom : std::runtime_error {
    NoDeviceRoom() : runtime_error("no room on the device") {}
};

/// Where in a piece of memory the next thing may begin, whatever it is: kernels read 16 bytes at once.
constexpr size_t whole_lines(size_t bytes) {
    return (bytes + 63) / 64 * 64;
}

class CudaMemory {
  public:
    enum Kind { kDevice, kPinned };

    /// @param cap bytes of device memory
    CudaMemory(const CudaLibrary& library, size_t cap) : library_(library), cap_(cap) {}
    const CudaLibrary& library() const { return library_; }
    size_t used() const { return used_; }
    /// Of the device, by the whole process.
    static size_t used_by_all() { return all_used(); }

    /// @returns null when there is no room
    void* take(size_t bytes, Kind kind) {
        void* memory = nullptr;
        if (kind == kDevice && used_ + bytes > cap_) return nullptr;
        if (library_.allocate(&memory, bytes, kind == kPinned)) {
            // Others use the device too: it will not have more for a while.
            if (kind == kDevice) cap_ = used_;
            return nullptr;
        }
        if (kind == kDevice) used_ += bytes, all_used() += bytes;
        return memory;
    }
    void give(void* memory, size_t bytes, Kind kind) {
        library_.free(memory, kind == kPinned);
        if (kind == kDevice) used_ -= bytes, all_used() -= bytes;
    }

  private:
    static std::atomic<size_t>& all_used() {
        static std::atomic<size_t> bytes{0};
        return bytes;
    }

    CudaLibrary library_;
    size_t cap_, used_ = 0;
};

/// Of the wave buffer's memory.
class CudaPins final : public wave::Pins {
  public:
    explicit CudaPins(const CudaLibrary& library) : library_(library) {}
    bool pin(void* memory, size_t bytes) override { return library_.pin(memory, bytes) == 0; }
    void unpin(void* memory) override { library_.unpin(memory); }

  private:
    CudaLibrary library_;
};

/// Owns memory, or none. Its CudaMemory outlives it.
class Buffer {
  public:
    Buffer() = default;
    Buffer(CudaMemory& from, void* data, size_t bytes, CudaMemory::Kind kind)
        : from_(&from), data_(data), bytes_(bytes), kind_(kind) {}
    Buffer(Buffer&& other) noexcept { *this = std::move(other); }
    Buffer& operator=(Buffer&& other) noexcept {
        std::swap(from_, other.from_), std::swap(data_, other.data_);
        std::swap(bytes_, other.bytes_), std::swap(kind_, other.kind_);
        return *this;
    }
    ~Buffer() {
        if (data_) from_->give(data_, bytes_, kind_);
    }

    size_t bytes() const { return bytes_; }
    template <class T> T* as(size_t offset = 0) const {
        return reinterpret_cast<T*>(static_cast<uint8_t*>(data_) + offset);
    }

  private:
    CudaMemory* from_ = nullptr;
    void* data_ = nullptr;
    size_t bytes_ = 0;
    CudaMemory::Kind kind_ = CudaMemory::kDevice;
};

/// Makes a buffer of pinned memory large enough; what it held is lost. Throws CudaProblem
inline void reserve_pinned(CudaMemory& from, Buffer& buffer, size_t bytes) {
    if (buffer.bytes() >= bytes) return;
    const size_t more = bytes + bytes / 2;
    void* const data = from.take(more, CudaMemory::kPinned);
    if (!data) throw CudaProblem("the host has no memory to pin");
    buffer = {from, data, more, CudaMemory::kPinned};
}

} // namespace repowave
