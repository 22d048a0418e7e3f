#include "wave_buffer.h"

#include <algorithm>
#include <numeric>

namespace wave {
namespace {

/// So many slots of a cache are always left: what two threads retrieve at once in a pass of many tokens, in
/// pages that are not full. With less, clusters would be estimated that were to be attended.
constexpr size_t kLeastSlots = 48 << 10;

std::string mebibytes(size_t bytes) {
    return std::to_string((bytes + (1 << 20) - 1) >> 20) + " MiB";
}

} // namespace

WaveBuffer::WaveBuffer(size_t capacity) : capacity_(capacity) {}

void WaveBuffer::set_capacity(size_t bytes) {
    const std::lock_guard lock(mutex_);
    capacity_ = bytes;
    make_room(0);
    share_out();
}

MemoryReport WaveBuffer::report() {
    const std::lock_guard lock(mutex_);
    drop_closed();
    share_out();
    MemoryReport report{};
    report.capacity = capacity_;
    std::copy_n(held_, kTiers, report.held);
    report.bytes_read = bytes_read_;
    for (const auto& [slot_bytes, cache] : caches_) {
        report.cache_capacity += cache->capacity();
        report.cache_used += cache->used();
        const CacheCounters one = cache->counters();
        CacheCounters& sum = report.counters;
        sum.hits += one.hits, sum.misses += one.misses, sum.prefetched += one.prefetched;
        sum.foreseen += one.foreseen, sum.dropped += one.dropped, sum.bytes += one.bytes;
        sum.late += one.late, sum.no_room += one.no_room, sum.failed += one.failed;
    }
    report.bytes_read += report.counters.bytes;
    return report;
}

std::shared_ptr<const ExactSlots> WaveBuffer::exact(const std::shared_ptr<const Segment>& segment,
                                                    bool load) {
    const size_t bytes = ExactSlots::bytes(*segment, ExactSlots::kAll);
    return get<ExactSlots>(segment, Tier::exact, bytes, load,
                           [&] { return std::make_shared<const ExactSlots>(*segment, ExactSlots::kAll); });
}

std::shared_ptr<const WaveIndex> WaveBuffer::index(const std::shared_ptr<const Segment>& segment, bool load) {
    return get<WaveIndex>(segment, Tier::index, WaveIndex::bytes(*segment), load, [&] {
        std::unique_lock lock(mutex_);
        BlockCache& cache = this->cache(segment->shape().slot_bytes());
        lock.unlock();
        return std::make_shared<const WaveIndex>(*segment, cache);
    });
}

/// Room is taken before anything is read, and nothing is read with the lock.
template <class Part, class Make>
std::shared_ptr<const Part> WaveBuffer::get(const std::shared_ptr<const Segment>& segment, Tier tier,
                                            size_t bytes, bool load, Make make) {
    {
        const std::lock_guard lock(mutex_);
        auto found = std::static_pointer_cast<const Part>(find(segment, tier));
        if (found || !load) return found;
        take(tier, bytes);
    }
    std::shared_ptr<const Part> made;
    try {
        made = make();
    } catch (...) {
        const std::lock_guard lock(mutex_);
        held_[static_cast<size_t>(tier)] -= bytes;
        throw;
    }
    count_read(bytes);
    const std::lock_guard lock(mutex_);
    auto found = std::static_pointer_cast<const Part>(find(segment, tier));
    if (found) { // another session has been faster
        held_[static_cast<size_t>(tier)] -= bytes;
        return found;
    }
    const WaveIndex* index = nullptr;
    if constexpr (std::is_same_v<Part, WaveIndex>) index = made.get();
    entries_.push_front({segment, tier, made, index, bytes});
    try {
        require_room(0); // also for its clusters, whose number was not known before
    } catch (const NoRoom&) {
        drop(entries_.begin());
        throw;
    }
    share_out();
    return made;
}

std::shared_ptr<const void> WaveBuffer::find(const std::shared_ptr<const Segment>& segment, Tier tier) {
    for (auto entry = entries_.begin(); entry != entries_.end(); entry++) {
        if (entry->tier != tier || entry->segment.lock() != segment) continue;
        entries_.splice(entries_.begin(), entries_, entry);
        return entry->part;
    }
    return nullptr;
}

std::shared_ptr<void> WaveBuffer::reserve(Tier tier, size_t bytes) {
    const std::lock_guard lock(mutex_);
    take(tier, bytes);
    return {nullptr, [this, tier, bytes](void*) {
                const std::lock_guard again(mutex_);
                held_[static_cast<size_t>(tier)] -= bytes;
                share_out();
            }};
}

void WaveBuffer::take(Tier tier, size_t bytes) {
    require_room(bytes);
    held_[static_cast<size_t>(tier)] += bytes;
    share_out();
}

/// For so many bytes more, and all clusters of what is looked at: what nobody looks at goes before they do.
void WaveBuffer::make_room(size_t bytes) {
    drop_closed();
    size_t clusters = 0;
    for (const auto& [slot_bytes, cache] : caches_) clusters += cache_needs(*cache, true);
    for (auto entry = entries_.end(); entry != entries_.begin() && held() + bytes + clusters > capacity_;)
        if (!(--entry)->in_use()) entry = drop(entry);
}

void WaveBuffer::require_room(size_t bytes) {
    make_room(bytes);
    size_t least = held() + bytes;
    for (const auto& [slot_bytes, cache] : caches_)
        least += std::min(cache_needs(*cache, true), kLeastSlots / kPageSlots * cache->page_cost());
    if (least > capacity_)
        throw NoRoom(mebibytes(least) + " are needed and " + mebibytes(capacity_) + " allowed");
}

/// Of segments that are not open any more; sessions that still look at one keep it open.
void WaveBuffer::drop_closed() {
    for (auto entry = entries_.begin(); entry != entries_.end();)
        entry = entry->segment.expired() ? drop(entry) : std::next(entry);
}

WaveBuffer::Entries::iterator WaveBuffer::drop(Entries::iterator entry) {
    held_[static_cast<size_t>(entry->tier)] -= entry->bytes;
    return entries_.erase(entry);
}

size_t WaveBuffer::held() const {
    return std::accumulate(held_, held_ + kTiers, size_t{0});
}

// --- the block caches

BlockCache& WaveBuffer::cache(size_t slot_bytes) {
    std::unique_ptr<BlockCache>& cache = caches_[slot_bytes];
    if (!cache) cache = std::make_unique<BlockCache>(slot_bytes, 0);
    return *cache;
}

/// To hold all clusters of the segments that it knows, or of those that are looked at.
size_t WaveBuffer::cache_needs(const BlockCache& cache, bool in_use) const {
    size_t pages = 0;
    for (const Entry& entry : entries_)
        if (entry.index && &entry.index->cache() == &cache && (!in_use || entry.in_use()))
            pages += entry.index->pages();
    return pages * cache.page_cost();
}

/// Caches get what is left of the cap, and no more than they can fill. One shrinks only for want of memory:
/// what lies in the pages that go is forgotten.
void WaveBuffer::share_out() {
    size_t left = capacity_ - std::min(capacity_, held());
    for (const auto& [slot_bytes, cache] : caches_) {
        const size_t needs = cache_needs(*cache, false);
        const size_t bytes = std::min(left, needs == 0 ? 0 : std::max(needs, cache->capacity()));
        cache->set_capacity(bytes);
        left -= bytes;
    }
}

} // namespace wave
