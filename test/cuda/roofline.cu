// Counts what the kernels of a step do: bytes of device memory, as the distinct sectors of 32 bytes that a
// launch reads and writes, and products of 16 x 16 by 16 x 8 matrices. One KV head of 128 with 4 query heads,
// fp16, runs in the emulator. The compiler marks every access for ThreadSanitizer, in whose place the
// functions below count. roofline CLUSTERS: a line for each kernel. roofline pass: the same for a pass of 512
// tokens behind a frame, and for the clusters of those tokens.
#include "kernels/cuda/decode.cuh"
#include "kernels/cuda/kmeans.cuh"
#include "kernels/cuda/prefill.cuh"

#include <cmath>
#include <cstdio>
#include <string_view>
#include <sys/mman.h>

using namespace repowave::cuda;

namespace {

constexpr int kD = 128, kGroup = 4, kTokens = 16, kSteady = 608;
constexpr size_t kSector = 32, kSlot = 2 * kD * sizeof(__half);
enum { kRead = 1, kWritten = 2 };

/// All memory of the device; what nobody touches takes none of the machine's.
uint8_t *arena, *marks;
size_t arena_bytes, reserved;

uint8_t* map(size_t bytes) {
    void* const p =
        mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) std::exit(4);
    return static_cast<uint8_t*>(p);
}

template <class T> T* reserve(size_t count) {
    auto* const p = reinterpret_cast<T*>(arena + reserved);
    reserved += (count * sizeof(T) + 255) / 256 * 256;
    if (reserved > arena_bytes) std::exit(4);
    return p;
}

__attribute__((no_sanitize("thread"))) inline void touch(const void* p, size_t bytes, uint8_t how) {
    const size_t at = static_cast<const uint8_t*>(p) - arena;
    if (at >= arena_bytes) return;
    for (size_t sector = at / kSector; sector <= (at + bytes - 1) / kSector; sector++) marks[sector] |= how;
}

__attribute__((no_sanitize("thread"))) void tell() {
    static uint64_t products = 0;
    size_t sectors[3] = {};
    for (size_t i = 0; i < reserved / kSector; i++)
        for (const int how : {kRead, kWritten}) sectors[how] += (marks[i] & how) != 0;
    std::printf("%s\t%zu\t%zu\t%zu\n", simt::machine().last, sectors[kRead] * kSector,
                sectors[kWritten] * kSector, static_cast<size_t>(simt::machine().products - products));
    products = simt::machine().products;
    std::memset(marks, 0, reserved / kSector + 1);
}

} // namespace

#define COUNT __attribute__((no_sanitize("thread"))) void
#define ACCESSES(bytes)                                                                                      \
    COUNT __tsan_read##bytes(void* p) { touch(p, bytes, kRead); }                                            \
    COUNT __tsan_write##bytes(void* p) { touch(p, bytes, kWritten); }                                        \
    COUNT __tsan_unaligned_read##bytes(void* p) { touch(p, bytes, kRead); }                                  \
    COUNT __tsan_unaligned_write##bytes(void* p) { touch(p, bytes, kWritten); }

extern "C" {
ACCESSES(1)
ACCESSES(2)
ACCESSES(4)
ACCESSES(8)
ACCESSES(16)
COUNT __tsan_read_range(void* p, size_t bytes) {
    touch(p, bytes, kRead);
}
COUNT __tsan_write_range(void* p, size_t bytes) {
    touch(p, bytes, kWritten);
}
COUNT __tsan_init() {}
COUNT __tsan_func_entry(void*) {}
COUNT __tsan_func_exit() {}
COUNT __tsan_vptr_update(void*, void*) {}
COUNT __tsan_vptr_read(void*) {}
/// What guards static variables.
__attribute__((no_sanitize("thread"))) uint8_t __tsan_atomic8_load(const volatile uint8_t* p, int) {
    return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}
__attribute__((no_sanitize("thread"))) uint32_t __tsan_atomic32_fetch_add(volatile uint32_t* p, uint32_t x,
                                                                          int) {
    touch(const_cast<uint32_t*>(p), 4, kRead | kWritten);
    return __atomic_fetch_add(p, x, __ATOMIC_RELAXED);
}
__attribute__((no_sanitize("thread"))) uint32_t __tsan_atomic32_fetch_and(volatile uint32_t* p, uint32_t x,
                                                                          int) {
    touch(const_cast<uint32_t*>(p), 4, kRead | kWritten);
    return __atomic_fetch_and(p, x, __ATOMIC_RELAXED);
}
}

namespace {

void open_arena(size_t bytes) {
    arena_bytes = bytes;
    arena = map(arena_bytes), marks = map(arena_bytes / kSector + 1);
}

/// From -1 to 1, the same in every run.
float noise() {
    static unsigned state = 1;
    return (state = state * 1664525 + 1013904223) / 2147483648.0f - 1;
}

void begin_to_count() {
    std::memset(marks, 0, arena_bytes / kSector);
    simt::machine().launched = tell;
}

void count_pass() {
    constexpr int kPass = 512;
    open_arena(64 << 20);
    auto* const slots = reserve<__half>((kSteady + kPass) * 2 * kD);
    for (int i = 0; i < (kSteady + kPass) * 2 * kD; i++) slots[i] = __float2half_rn(noise());
    auto* const tail = slots + kSteady * 2 * kD;
    auto* const seen = reserve<Span>(2);
    seen[0] = {slots, kSteady, 0, -kSteady, 0}, seen[1] = {tail, kPass, 0, 0, 1};
    auto* const q = reserve<float>(kPass * kGroup * kD);
    for (int i = 0; i < kPass * kGroup * kD; i++) q[i] = noise();
    Prefill prefill_of{Format::f16, kD, 1, kGroup, kPass, 2, 0, 1 / std::sqrt(float{kD}), 0, 4, q, seen};
    prefill_of.out = reserve<float>(kPass * kGroup * kD);
    auto* const keys = reserve<const void*>(1);
    *keys = tail;
    const Clustering clustering{Format::f16, kD, 1, kPass, keys, reserve<uint32_t>(kPass)};
    char* const workspace = reserve<char>(prefill_workspace(prefill_of));
    ClusterWorkspace parts;
    char* const points = reserve<char>(lay_out(clustering, nullptr, parts));
    begin_to_count();
    prefill<__half, kD>(prefill_of, workspace, nullptr);
    cluster<__half, kD>(clustering, points, nullptr);
}

} // namespace

int main(int, char** arguments) {
    if (arguments[1] == std::string_view("pass")) return count_pass(), 0;
    const size_t clusters = std::atoi(arguments[1]);
    const int tiles = static_cast<int>(clusters) / kTileClusters;
    open_arena((clusters * (kTokens + 4) + kSteady) * kSlot + (256 << 20));

    const size_t elements = clusters * kD;
    auto* const keys = reserve<__half>(elements);
    for (size_t i = 0; i < elements; i++) keys[i] = __float2half_rn(noise());
    const auto* const values = reserve<__half>(elements);
    auto* const log_sizes = reserve<float>(clusters);
    auto* const places = reserve<Place>(clusters);
    const auto* const slots = reserve<uint8_t>(clusters * kTokens * kSlot);
    auto* const list = reserve<Tile>(tiles);
    for (size_t c = 0; c < clusters; c++) {
        log_sizes[c] = std::log(float{kTokens});
        places[c] = {slots + c * kTokens * kSlot, kTokens, 0};
    }
    for (int t = 0; t < tiles; t++) {
        const size_t first = size_t{kTileClusters} * t;
        list[t] = {keys + first * kD, values + first * kD, log_sizes + first,
                   places + first,    kTileClusters,       0};
    }
    auto* const run = reserve<Run>(1);
    *run = {reserve<uint8_t>(kSteady * kSlot), kSteady, 0};
    auto* const q = reserve<float>(kGroup * kD);
    for (int i = 0; i < kGroup * kD; i++) q[i] = noise();

    Plan plan{Format::f16, kD, 1, kGroup, tiles, 1};
    plan.budget = static_cast<uint32_t>(std::max<size_t>(1024, clusters * kTokens / 50));
    plan.max_pages = static_cast<int>((kSteady + plan.budget) / kPageTokens + 64);
    plan.estimate = true, plan.scale = 1 / std::sqrt(float{kD});
    plan.score_blocks = 64, plan.exact_blocks = 16, plan.estimate_blocks = 32;
    Step step{};
    step.q = q, step.tiles = list, step.runs = run;
    step.out = reserve<float>(kGroup * kD), step.lse = reserve<float>(kGroup);
    step.reports = reserve<HeadReport>(1), step.bits = reserve<uint32_t>(tiles);
    step.pages = reserve<Run>(plan.max_pages);
    Workspace workspace;
    lay_out(plan, reserve<char>(lay_out(plan, nullptr, workspace)), workspace);
    begin_to_count();
    choose<__half, kD>(plan, step, workspace, nullptr);
    attend<__half, kD>(plan, step, workspace, nullptr);
}
