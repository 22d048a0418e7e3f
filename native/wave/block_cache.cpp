#include "block_cache.h"

#include "checksum.h"

#include <algorithm>
#include <utility>

namespace wave {
namespace {

size_t pages_of(size_t tokens) {
    return (tokens + kPageSlots - 1) / kPageSlots;
}

} // namespace

// --- steps

uint64_t BlockCache::begin_step() {
    const std::lock_guard lock(mutex_);
    steps_.push_back(++last_stamp_);
    return last_stamp_;
}

void BlockCache::end_step(uint64_t stamp) {
    const std::lock_guard lock(mutex_);
    std::erase(steps_, stamp);
    resize_if_idle();
}

// --- what is there, and what is read

void BlockCache::acquire(const Step& step, uint32_t head, const ClusterRef* list, size_t n, bool wait,
                         Acquired& out) {
    std::unique_lock lock(mutex_);
    size_t tokens = 0;
    for (size_t i = 0; i < n; i++) tokens += segments_[list[i].segment].file->tokens(head, list[i].cluster);
    out.reads.clear(), out.rows.clear(), out.missing.clear();
    // What is under way must not be torn by a failed allocation.
    out.reads.reserve(n), out.rows.reserve(tokens), out.missing.reserve(n), out.parts.reserve(kMostParts);
    out.front.resize(front_bytes());

    queue_.overtake(head);
    use(step.stamp_, head, list, n);
    if (wait) {
        for (size_t i = 0; i < n; i++)
            if (!plan(step.stamp_, head, list[i], out.reads)) break;
        lock.unlock();
        read_all(out);
        lock.lock();
        publish(out.reads);
        read_done_.wait(lock, [&] {
            return std::none_of(list, list + n, [&](const ClusterRef& one) {
                const uint32_t block = entry(one.segment, head, one.cluster);
                return block < kDamaged && blocks_[block].reading;
            });
        });
    }
    collect(step.stamp_, head, list, n, wait, out);
    if (!wait) work_.notify_one();
}

/// Before anything is read, so that nothing of the list makes room for the rest of it.
void BlockCache::use(uint64_t stamp, uint32_t head, const ClusterRef* list, size_t n) {
    for (size_t i = 0; i < n; i++) {
        const uint32_t block = entry(list[i].segment, head, list[i].cluster);
        const bool known = block < kDamaged;
        if (known) blocks_[block].stamp = std::max(blocks_[block].stamp, stamp);
        if (known && !blocks_[block].reading) {
            lru_.touch(block), counters_.hits++;
            counters_.foreseen += std::exchange(blocks_[block].ahead, false);
        } else
            counters_.misses++;
    }
}

/// Takes pages for a cluster that nobody has or reads. @returns false when there is no room
bool BlockCache::plan(uint64_t stamp, uint32_t head, ClusterRef wanted, std::vector<Read>& reads) {
    uint32_t& block = entry(wanted.segment, head, wanted.cluster);
    if (block != kAbsent) return true;
    SegmentTable& table = segments_[wanted.segment];
    const uint32_t found = make_room(pages_of(table.file->tokens(head, wanted.cluster)));
    if (found == kNoPage) return false;
    block = found;
    blocks_[found] = {stamp, wanted.segment, table.first[head] + wanted.cluster, true, stamp == 0};
    table.reading++, reading_++;
    reads.push_back({table.file.get(), wanted.segment, head, wanted.cluster, found, false});
    return true;
}

/// Evicts the least recently used blocks that are not pinned. A pinned one that is among them was used by a
/// step that is not over: it counts as just used, so that it is not looked at again and again.
uint32_t BlockCache::make_room(size_t pages) {
    for (size_t left = lru_.size(); arena_.free() < pages; left--) {
        if (left == 0) return kNoPage;
        const uint32_t block = lru_.oldest();
        if (pinned(blocks_[block]))
            lru_.touch(block);
        else
            evict(block);
    }
    return arena_.take(pages);
}

void BlockCache::evict(uint32_t block) {
    lru_.remove(block);
    segments_[blocks_[block].segment].entries[blocks_[block].entry] = kAbsent;
    arena_.give_back(block);
}

/// Of one that is there.
void BlockCache::add_rows(uint64_t stamp, uint32_t head, ClusterRef one, Acquired& out) {
    const uint32_t block = entry(one.segment, head, one.cluster);
    // Again: another thread may have brought it since.
    blocks_[block].stamp = std::max(blocks_[block].stamp, stamp);
    uint32_t left = segments_[one.segment].file->tokens(head, one.cluster);
    for (uint32_t page = block; left > 0; page = arena_.next(page))
        for (uint32_t slot = 0; slot < kPageSlots && left > 0; slot++, left--)
            out.rows.push_back(page * kPageSlots + slot);
}

/// To be read ahead, unless somebody has it or is at it. @returns whether it was asked for
bool BlockCache::ask(uint32_t head, ClusterRef one) {
    if (entry(one.segment, head, one.cluster) != kAbsent) return false;
    counters_.dropped += queue_.push({one.segment, head, one.cluster, 0});
    return true;
}

void BlockCache::collect(uint64_t stamp, uint32_t head, const ClusterRef* list, size_t n, bool wait,
                         Acquired& out) {
    for (size_t i = 0; i < n; i++) {
        const auto [segment, cluster] = list[i];
        const uint32_t block = entry(segment, head, cluster);
        if (block < kDamaged && !blocks_[block].reading) {
            add_rows(stamp, head, list[i], out);
            continue;
        }
        out.missing.push_back(static_cast<uint32_t>(i));
        if (block == kDamaged)
            counters_.failed++;
        else if (wait)
            counters_.no_room++;
        else {
            counters_.late++;
            ask(head, list[i]);
        }
    }
}

// --- reading, without the lock: the pages of blocks that are being read are their reader's

/// Parts of a file that follow one another, read into places that need not.
class BlockCache::Scatter {
  public:
    Scatter(const ClusterFile& file, uint64_t offset, std::vector<iovec>& parts)
        : file_(file), offset_(offset), parts_(parts) {
        parts_.clear();
    }
    void add(uint8_t* to, size_t bytes) {
        if (!parts_.empty() && static_cast<uint8_t*>(parts_.back().iov_base) + parts_.back().iov_len == to) {
            parts_.back().iov_len += bytes;
        } else {
            if (parts_.size() == kMostParts) read();
            parts_.push_back({to, bytes});
        }
        bytes_ += bytes;
    }
    /// @returns whether everything added so far could be read
    bool read() {
        good_ = good_ && file_.read(offset_, parts_.data(), parts_.size());
        parts_.clear();
        offset_ += std::exchange(bytes_, 0);
        return good_;
    }

  private:
    const ClusterFile& file_;
    uint64_t offset_;
    std::vector<iovec>& parts_;
    size_t bytes_ = 0;
    bool good_ = true;
};

void BlockCache::read_all(Acquired& out) const noexcept {
    std::vector<Read>& reads = out.reads;
    for (size_t begin = 0, end; begin < reads.size(); begin = end) {
        const Read& first = reads[begin];
        end = begin + 1;
        if (first.file->packed()) {
            read_pack(reads[begin], out.front.data(), out.parts);
            continue;
        }
        while (end < reads.size() && reads[end].file == first.file && reads[end].head == first.head &&
               reads[end].cluster == first.cluster + (end - begin))
            end++;
        read_run(reads.data() + begin, end - begin, out.parts);
    }
}

/// Neighbours. What is wrong with one of them must not cost the others.
void BlockCache::read_run(Read* reads, size_t n, std::vector<iovec>& parts) const noexcept {
    Scatter scatter(*reads[0].file, reads[0].file->offset(reads[0].head, reads[0].cluster), parts);
    for (size_t i = 0; i < n; i++)
        each_page(reads[i], [&](uint8_t* page, size_t bytes) { scatter.add(page, bytes); });
    const bool good = scatter.read();
    for (size_t i = 0; i < n; i++)
        if (good)
            reads[i].good = intact(reads[i]);
        else if (n > 1)
            read_run(reads + i, 1, parts);
}

/// visit(address, bytes) for the pages of a cluster that is being read
template <class Visit> void BlockCache::each_page(const Read& read, Visit visit) const {
    size_t left = read.file->tokens(read.head, read.cluster) * slot_bytes_;
    for (uint32_t page = read.block; left > 0; page = arena_.next(page)) {
        const size_t bytes = std::min(left, arena_.page_bytes());
        visit(arena_.page(page), bytes);
        left -= bytes;
    }
}

bool BlockCache::intact(const Read& read) const noexcept {
    uint32_t crc = 0;
    each_page(read, [&](const uint8_t* page, size_t bytes) { crc = crc32c(page, bytes, crc); });
    return crc == read.file->head(read.head).checksums[read.cluster];
}

/// A page's steps are read to its end, where the slots that are made of them overwrite none that is still
/// needed.
void BlockCache::read_pack(Read& read, uint8_t* front, std::vector<iovec>& parts) const noexcept {
    const ClusterFile& file = *read.file;
    const auto each_part = [&](auto visit) {
        each_page(read, [&](uint8_t* page, size_t bytes) {
            const size_t tokens = bytes / slot_bytes_, steps = tokens * file.shape().slot_elements();
            visit(page, tokens, page + bytes - steps, steps);
        });
    };
    Scatter scatter(file, file.offset(read.head, read.cluster), parts);
    scatter.add(front, front_bytes());
    each_part([&](uint8_t*, size_t, uint8_t* steps, size_t bytes) { scatter.add(steps, bytes); });
    if (!scatter.read()) return;
    uint32_t crc = crc32c(front, front_bytes(), 0);
    each_part([&](uint8_t*, size_t, uint8_t* steps, size_t bytes) { crc = crc32c(steps, bytes, crc); });
    read.good = crc == file.head(read.head).checksums[read.cluster];
    if (!read.good) return;
    each_part([&](uint8_t* page, size_t tokens, uint8_t* steps, size_t) {
        unpack(file.shape(), front, steps, tokens, page);
    });
}

void BlockCache::publish(const std::vector<Read>& reads) {
    for (const Read& read : reads) {
        SegmentTable& table = segments_[read.segment];
        blocks_[read.block].reading = false;
        table.reading--, reading_--;
        if (read.good) {
            lru_.push(read.block);
            counters_.bytes += read.file->bytes(read.head, read.cluster);
        } else {
            entry(read.segment, read.head, read.cluster) = kDamaged;
            table.damaged++;
            arena_.give_back(read.block);
        }
    }
    if (reads.empty()) return;
    read_done_.notify_all();
    resize_if_idle();
}

} // namespace wave
