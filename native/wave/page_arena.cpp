#include "page_arena.h"

#include <algorithm>
#include <new>
#include <sys/mman.h>
#include <unistd.h>

namespace wave {
namespace {

size_t system_page() {
    return static_cast<size_t>(::sysconf(_SC_PAGESIZE));
}

} // namespace

PageArena::PageArena(size_t slot_bytes)
    : page_bytes_(slot_bytes * kPageSlots),
      reserved_(static_cast<size_t>(::sysconf(_SC_PHYS_PAGES)) * system_page()) {
    // Without access: no memory is promised yet where the system counts promises.
    void* mapped = ::mmap(nullptr, reserved_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapped == MAP_FAILED) throw std::bad_alloc();
    base_ = static_cast<uint8_t*>(mapped);
}

PageArena::~PageArena() {
    unpin_behind(0);
    ::munmap(base_, reserved_);
}

uint32_t PageArena::take(size_t n) {
    const size_t left = free_.size() - n;
    uint32_t first = kNoPage;
    for (size_t i = left; i < free_.size(); i++) {
        next_[free_[i]] = first;
        first = free_[i];
    }
    free_.resize(left);
    return first;
}

/// In the same order, so that neighbours in memory stay neighbours in chains.
void PageArena::give_back(uint32_t first) {
    const auto before = static_cast<ptrdiff_t>(free_.size());
    for (; first != kNoPage; first = next_[first]) free_.push_back(first);
    std::reverse(free_.begin() + before, free_.end());
}

void PageArena::resize(uint32_t pages) {
    const uint32_t before = this->pages();
    const size_t end = end_of(pages);
    if (pages > before) {
        next_.reserve(pages);
        free_.reserve(pages); // so that give_back never allocates
        if (::mprotect(base_, end, PROT_READ | PROT_WRITE) != 0) throw std::bad_alloc();
        for (uint32_t page = pages; page-- > before;) free_.push_back(page);
    } else {
        std::erase_if(free_, [&](uint32_t page) { return page >= pages; });
        unpin_behind(end); // pinned memory would stay the system's
        if (end < reserved_) ::madvise(base_ + end, reserved_ - end, MADV_DONTNEED);
    }
    next_.resize(pages, kNoPage);
    refused_.reset();
    pin_up_to(end);
}

/// In bytes, up to a page of the system.
size_t PageArena::end_of(uint32_t pages) const {
    const size_t unit = system_page();
    return std::min(reserved_, (pages * page_bytes_ + unit - 1) / unit * unit);
}

// --- pinned for a device

void PageArena::pin(std::shared_ptr<Pins> pins) {
    if (pins_ || refused_.lock() == pins) return;
    pins_ = std::move(pins);
    pin_up_to(end_of(pages()));
}

void PageArena::pin_up_to(size_t end) {
    const size_t begin = pinned_.empty() ? 0 : pinned_.back();
    if (!pins_ || begin >= end) return;
    pinned_.reserve(pinned_.size() + 1);
    if (pins_->pin(base_ + begin, end - begin)) {
        pinned_.push_back(end);
    } else {
        unpin_behind(0);
        refused_ = pins_, pins_ = nullptr;
    }
}

void PageArena::unpin_behind(size_t end) {
    while (!pinned_.empty() && pinned_.back() > end) {
        pinned_.pop_back();
        pins_->unpin(base_ + (pinned_.empty() ? 0 : pinned_.back()));
    }
}

} // namespace wave
