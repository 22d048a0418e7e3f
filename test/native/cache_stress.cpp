// The block cache under many threads at once, for the sanitizers: sessions with worker threads that read rows while
// others evict, a changing capacity, segments that come and go, damaged clusters. Ends with 1 and a line about the
// first thing that is wrong.
//
//   cache_stress FOLDER STEPS
#include <wave/block_cache.h>
#include <wave/checksum.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <random>
#include <string>

/// Whatever the processor can: a sanitizer needs no speed.
const wave::Kernels& wave::kernels() {
    return kernels_scalar;
}

namespace {

constexpr uint32_t kHeads = 4, kClusters = 60, kSegments = 3, kSessions = 2, kWorkers = 2;
constexpr size_t kSlot = 64, kPage = kSlot * wave::kPageSlots;

using Random = std::minstd_rand;

struct OwnFile {
    std::vector<std::vector<uint32_t>> starts, checksums;
    std::vector<uint8_t> bytes;
    std::unique_ptr<wave::ClusterFile> file;
};

[[noreturn]] void fail(const std::string& what) {
    std::fprintf(stderr, "%s\n", what.c_str());
    std::_Exit(1);
}

/// Until after main, as the buffer of a process keeps some.
std::shared_ptr<OwnFile> kept_to_the_end;

bool damaged(uint32_t cluster) {
    return cluster % 20 == 7;
}

std::shared_ptr<OwnFile> make_file(const std::string& path, uint32_t seed) {
    Random random(seed);
    auto own = std::make_shared<OwnFile>();
    std::vector<wave::StoredHead> heads;
    for (uint32_t head = 0; head < kHeads; head++) {
        std::vector<uint32_t> starts{0}, checksums;
        const size_t begin = own->bytes.size();
        for (uint32_t c = 0; c < kClusters; c++) {
            const auto tokens = static_cast<uint32_t>(1 + random() % 30);
            const size_t at = own->bytes.size();
            for (size_t i = 0; i < tokens * kSlot; i++) own->bytes.push_back(static_cast<uint8_t>(random() >> 8));
            starts.push_back(starts.back() + tokens);
            checksums.push_back(wave::crc32c(own->bytes.data() + at, tokens * kSlot) ^ damaged(c));
        }
        own->starts.push_back(std::move(starts)), own->checksums.push_back(std::move(checksums));
        heads.push_back({own->starts.back().data(), own->checksums.back().data(), kClusters, begin});
    }
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<const char*>(own->bytes.data()), static_cast<std::streamsize>(own->bytes.size()));
    const auto file = std::make_shared<const wave::StoredFile>(path);
    own->file = std::make_unique<wave::ClusterFile>(file, wave::KvShape{1, 1, kSlot / 4, kSlot / 4, wave::DType::f16}, false, std::move(heads));
    return own;
}

/// A segment in the cache.
struct Placed {
    std::shared_ptr<OwnFile> own;
    uint32_t id;
};

Placed place(wave::BlockCache& cache, const std::shared_ptr<OwnFile>& own) {
    return {own, cache.add_segment({own, own->file.get()})};
}

/// About a fifth of the clusters, more often the first ones, of each segment.
std::vector<wave::ClusterRef> choose(const std::vector<Placed>& segments, Random& random) {
    std::vector<wave::ClusterRef> list;
    for (const Placed& segment : segments)
        for (uint32_t c = 0; c < kClusters; c++)
            if (random() % (3 + c / 6) == 0) list.push_back({segment.id, c});
    return list;
}

void check_rows(const wave::BlockCache& cache, const std::vector<Placed>& segments, uint32_t head,
                const std::vector<wave::ClusterRef>& list, const wave::BlockCache::Acquired& found) {
    size_t row = 0, missing = 0;
    for (size_t i = 0; i < list.size(); i++) {
        if (missing < found.missing.size() && found.missing[missing] == i) {
            missing++;
            continue;
        }
        if (damaged(list[i].cluster)) fail("a damaged cluster was given out");
        const OwnFile* own = nullptr;
        for (const Placed& segment : segments)
            if (segment.id == list[i].segment) own = segment.own.get();
        const uint8_t* expected = own->bytes.data() + own->file->offset(head, list[i].cluster);
        for (uint32_t t = 0; t < own->file->tokens(head, list[i].cluster); t++, row++, expected += kSlot)
            if (!std::equal(expected, expected + kSlot, cache.rows() + found.rows[row] * kSlot))
                fail("a row is not the token's");
    }
    if (row != found.rows.size()) fail("too many rows");
}

void work(wave::BlockCache& cache, const wave::BlockCache::Step& step, const std::vector<Placed>& segments,
          bool patient, Random random, uint32_t worker) {
    wave::BlockCache::Acquired found;
    for (uint32_t head = worker; head < kHeads; head += kWorkers - worker % 2) { // some heads by several threads
        const std::vector<wave::ClusterRef> list = choose(segments, random);
        cache.acquire(step, head, list.data(), list.size(), patient || random() % 4 != 0, found);
        check_rows(cache, segments, head, list, found);
        const std::vector<wave::ClusterRef> next = choose(segments, random);
        cache.prefetch((head + 1) % kHeads, next.data(), next.size());
        check_rows(cache, segments, head, list, found); // still
    }
}

/// The shared segments, and one of its own that comes and goes.
void run_session(wave::BlockCache& cache, const std::vector<Placed>& shared, const std::shared_ptr<OwnFile>& own,
                 bool patient, uint32_t seed, int steps) {
    Random random(seed);
    for (int i = 0; i < steps; i++) {
        std::vector<Placed> segments = shared;
        segments.push_back(place(cache, own));
        {
            const wave::BlockCache::Step step(cache);
            std::vector<std::thread> workers;
            for (uint32_t worker = 0; worker < kWorkers; worker++)
                workers.emplace_back(
                    [&, worker, own_seed = random()] { work(cache, step, segments, patient, Random(own_seed), worker); });
            for (std::thread& worker : workers) worker.join();
        }
        cache.remove_segment(segments.back().id);
    }
}

void run_sessions(wave::BlockCache& cache, const std::vector<Placed>& shared,
                  const std::vector<std::shared_ptr<OwnFile>>& own, bool patient, int steps) {
    std::vector<std::thread> sessions;
    for (uint32_t i = 0; i < kSessions; i++)
        sessions.emplace_back([&, i] { run_session(cache, shared, own[i], patient, i + 1, steps); });
    for (std::thread& session : sessions) session.join();
}

/// While the capacity changes, from enough for everything to less than a step needs.
void run_crowded(wave::BlockCache& cache, const std::vector<Placed>& shared,
                 const std::vector<std::shared_ptr<OwnFile>>& own, int steps) {
    constexpr size_t kLarge = 1200 * (kPage + 64), kSmall = 300 * (kPage + 64);
    cache.set_capacity(kLarge);
    std::atomic<bool> over{false};
    std::thread capacities([&] {
        for (Random random(99); !over; std::this_thread::yield()) {
            cache.set_capacity(random() % 2 ? kLarge : kSmall);
            if (cache.used() > kLarge) fail("more than the capacity is used");
        }
    });
    run_sessions(cache, shared, own, false, steps);
    over = true;
    capacities.join();
}

} // namespace

int main(int, char** arguments) {
    const std::string folder = arguments[1];
    const int steps = std::atoi(arguments[2]);
    std::vector<std::shared_ptr<OwnFile>> files;
    for (uint32_t i = 0; i < kSegments + kSessions; i++)
        files.push_back(make_file(folder + "/" + std::to_string(i), i + 1));
    kept_to_the_end = files.front();
    const std::vector<std::shared_ptr<OwnFile>> own(files.begin() + kSegments, files.end());
    wave::BlockCache cache(kSlot, 10000 * kPage);
    std::vector<Placed> shared;
    for (uint32_t i = 0; i < kSegments; i++) shared.push_back(place(cache, files[i]));

    run_sessions(cache, shared, own, true, steps);
    wave::CacheCounters counters = cache.counters();
    if (counters.late || counters.no_room) fail("who waits and has room misses more than what is damaged");
    run_crowded(cache, shared, own, steps);
    counters = cache.counters();
    if (!counters.hits || !counters.misses || !counters.failed || !counters.prefetched || !counters.late ||
        !counters.no_room || !counters.dropped)
        fail("something never happened");
    for (const Placed& segment : shared) {
        if (cache.damaged(segment.id) > kHeads * kClusters / 20) fail("damaged clusters were read again");
        cache.remove_segment(segment.id);
    }
    if (cache.used() != 0) fail("pages were lost");
    return 0;
}
