// The block cache's memory: pages of eight slots, handed out in chains, since clusters come in all sizes.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace wave {

constexpr uint32_t kPageSlots = 8;
constexpr uint32_t kNoPage = UINT32_MAX;

/// Lets a device read memory where it lies.
class Pins {
  public:
    virtual ~Pins() = default;
    /// Whole pages of the system. @returns false when it cannot be
    virtual bool pin(void* memory, size_t bytes) = 0;
    virtual void unpin(void* memory) = 0;
};

/// Not safe for several threads, but for the chain of pages that a thread has been given.
class PageArena {
  public:
    /// Reserves the address space of the machine's memory and has no pages yet. Throws std::bad_alloc.
    explicit PageArena(size_t slot_bytes);
    ~PageArena();
    PageArena(const PageArena&) = delete;
    PageArena& operator=(const PageArena&) = delete;

    /// Its address stays the same for life.
    const uint8_t* base() const { return base_; }
    uint8_t* page(uint32_t page) const { return base_ + page * page_bytes_; }
    size_t page_bytes() const { return page_bytes_; }
    uint32_t pages() const { return static_cast<uint32_t>(next_.size()); }
    /// Most pages that there can be: their slots have numbers of 32 bits.
    uint32_t limit() const {
        return static_cast<uint32_t>(std::min<size_t>(reserved_ / page_bytes_, UINT32_MAX / kPageSlots));
    }
    size_t free() const { return free_.size(); }

    /// n >= 1 pages, which are free. @returns the first one
    uint32_t take(size_t n);
    /// The page behind this one in its chain, or kNoPage.
    uint32_t next(uint32_t page) const { return next_[page]; }
    /// Gives a whole chain back.
    void give_back(uint32_t first);
    /// Makes it so many pages, at most limit(). Those that go are free; their memory goes back to the system.
    /// Throws std::bad_alloc and changes nothing.
    void resize(uint32_t pages);

    /// Pins all pages, and those that come later; when the system refuses some, none.
    void pin(std::shared_ptr<Pins> pins);
    bool pinned() const { return pins_ != nullptr; }

  private:
    size_t end_of(uint32_t pages) const;
    void pin_up_to(size_t end);
    void unpin_behind(size_t end);

    size_t page_bytes_, reserved_;
    uint8_t* base_;
    std::shared_ptr<Pins> pins_;
    std::weak_ptr<Pins> refused_; ///< could not pin as much as there is now
    std::vector<size_t> pinned_;  ///< where each piece that was pinned at once ends, in bytes
    std::vector<uint32_t> next_;  ///< [pages]
    std::vector<uint32_t> free_;  ///< the last one is taken first
};

} // namespace wave
