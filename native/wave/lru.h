// Least recently used, as an intrusive list of numbers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace wave {

class Lru {
  public:
    static constexpr uint32_t kNone = UINT32_MAX;

    /// Room for the numbers below n; those in the list stay. Throws std::bad_alloc.
    void resize(size_t n) { links_.resize(n); }
    size_t size() const { return size_; }
    uint32_t oldest() const { return oldest_; }
    uint32_t newer(uint32_t one) const { return links_[one].newer; }

    /// As the newest one.
    void push(uint32_t one) {
        links_[one] = {newest_, kNone};
        (newest_ == kNone ? oldest_ : links_[newest_].newer) = one;
        newest_ = one;
        size_++;
    }
    void remove(uint32_t one) {
        const Link link = links_[one];
        (link.older == kNone ? oldest_ : links_[link.older].newer) = link.newer;
        (link.newer == kNone ? newest_ : links_[link.newer].older) = link.older;
        size_--;
    }
    void touch(uint32_t one) {
        remove(one);
        push(one);
    }

  private:
    struct Link {
        uint32_t older, newer;
    };
    std::vector<Link> links_;
    uint32_t oldest_ = kNone, newest_ = kNone;
    size_t size_ = 0;
};

} // namespace wave
