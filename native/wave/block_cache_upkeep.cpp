// The block cache's capacity and segments, and what it reads ahead.
#include "block_cache.h"

#include <algorithm>
#include <sys/resource.h>
#include <unistd.h>

namespace wave {
namespace {

/// Clusters that are read ahead at once: few, so that an acquire that waits for one of them waits shortly.
constexpr size_t kBatch = 32;

} // namespace

BlockCache::BlockCache(size_t slot_bytes, size_t capacity) : slot_bytes_(slot_bytes), arena_(slot_bytes) {
    ahead_.reads.reserve(kBatch), ahead_.parts.reserve(kMostParts);
    ahead_.front.resize(front_bytes());
    set_capacity(capacity);
    prefetcher_ = std::thread([this] { run_prefetch(); });
}

BlockCache::~BlockCache() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    work_.notify_all();
    prefetcher_.join();
}

// --- capacity

void BlockCache::set_capacity(size_t bytes) {
    const std::lock_guard lock(mutex_);
    wanted_pages_ = static_cast<uint32_t>(std::min<size_t>(arena_.limit(), bytes / page_cost()));
    resize_if_idle();
}

size_t BlockCache::capacity() const {
    const std::lock_guard lock(mutex_);
    return arena_.pages() * page_cost();
}

size_t BlockCache::used() const {
    const std::lock_guard lock(mutex_);
    return (arena_.pages() - arena_.free()) * arena_.page_bytes();
}

void BlockCache::pin(std::shared_ptr<Pins> pins) {
    const std::lock_guard lock(mutex_);
    arena_.pin(std::move(pins));
}

bool BlockCache::pinned() const {
    const std::lock_guard lock(mutex_);
    return arena_.pinned();
}

void BlockCache::resize_if_idle() noexcept {
    if (wanted_pages_ == arena_.pages() || !steps_.empty() || reading_ > 0) return;
    for (uint32_t block = lru_.oldest(); block != Lru::kNone;) {
        const uint32_t next = lru_.newer(block);
        bool goes = false;
        for (uint32_t page = block; page != kNoPage; page = arena_.next(page))
            goes = goes || page >= wanted_pages_;
        if (goes) evict(block);
        block = next;
    }
    try {
        blocks_.resize(wanted_pages_);
        lru_.resize(wanted_pages_);
        arena_.resize(wanted_pages_);
    } catch (const std::bad_alloc&) {
        wanted_pages_ = arena_.pages(); // it wanted more
    }
    work_.notify_one();
}

// --- segments

uint32_t BlockCache::add_segment(std::shared_ptr<const ClusterFile> file) {
    SegmentTable table;
    size_t clusters = 0;
    for (uint32_t head = 0; head < file->heads(); head++) {
        table.first.push_back(static_cast<uint32_t>(clusters));
        clusters += file->head(head).clusters;
    }
    table.entries.assign(clusters, kAbsent);
    table.file = std::move(file);
    const std::lock_guard lock(mutex_);
    queue_.set_heads(table.first.size());
    auto place =
        std::find_if(segments_.begin(), segments_.end(), [](const SegmentTable& one) { return !one.file; });
    if (place == segments_.end()) place = segments_.emplace(segments_.end());
    *place = std::move(table);
    return static_cast<uint32_t>(place - segments_.begin());
}

void BlockCache::remove_segment(uint32_t segment) {
    std::unique_lock lock(mutex_);
    queue_.remove(segment);
    read_done_.wait(lock, [&] { return segments_[segment].reading == 0; });
    for (const uint32_t block : segments_[segment].entries)
        if (block < kDamaged) evict(block);
    segments_[segment] = {};
}

uint64_t BlockCache::damaged(uint32_t segment) const {
    const std::lock_guard lock(mutex_);
    return segments_[segment].damaged;
}

CacheCounters BlockCache::counters() const {
    const std::lock_guard lock(mutex_);
    return counters_;
}

// --- reading ahead

void BlockCache::prefetch(uint32_t head, const ClusterRef* list, size_t n) {
    const std::lock_guard lock(mutex_);
    bool asked = false;
    for (size_t i = 0; i < n; i++) asked = ask(head, list[i]) || asked;
    // In most steps of a decode there is nothing to do, and waking a thread costs more than looking.
    if (asked) work_.notify_one();
}

void BlockCache::foresee(const Step& step, uint32_t head, const ClusterRef* list, size_t n, Acquired& out) {
    const std::lock_guard lock(mutex_);
    bool asked = false;
    out.rows.clear(), out.missing.clear();
    for (size_t i = 0; i < n; i++) {
        const uint32_t block = entry(list[i].segment, head, list[i].cluster);
        if (block < kDamaged && !blocks_[block].reading) {
            add_rows(step.stamp_, head, list[i], out);
        } else {
            out.missing.push_back(static_cast<uint32_t>(i));
            asked = ask(head, list[i]) || asked;
        }
    }
    if (asked) work_.notify_one();
}

/// Stands still while the capacity waits to be changed, so that reads come to an end.
void BlockCache::run_prefetch() noexcept {
    // Linux gives each thread its own priority; without it, reading ahead is only less polite.
    ::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), 10);
    std::unique_lock lock(mutex_);
    while (true) {
        work_.wait(lock, [&] { return stopping_ || (!queue_.empty() && wanted_pages_ == arena_.pages()); });
        if (stopping_) return;
        ahead_.reads.clear();
        while (ahead_.reads.size() < kBatch && !queue_.empty()) {
            const PrefetchRequest request = queue_.pop();
            const ClusterRef wanted{request.segment, request.cluster};
            if (queue_.overtaken(request) || !plan(0, request.head, wanted, ahead_.reads))
                counters_.dropped++;
        }
        lock.unlock();
        read_all(ahead_);
        lock.lock();
        for (const Read& read : ahead_.reads) counters_.prefetched += read.good;
        publish(ahead_.reads);
    }
}

} // namespace wave
