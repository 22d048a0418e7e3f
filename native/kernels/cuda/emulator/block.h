// Blocks of threads: who runs next, barriers, and launches.
#pragma once

#include "fiber.h"
#include "runtime.h"

#include <algorithm>
#include <cstdio>
#include <deque>
#include <functional>
#include <random>
#include <utility>
#include <vector>

namespace simt {

/// A warp's threads on their way to the same shuffle, vote or matrix product.
struct Meeting {
    unsigned mask = 0, arrived = 0;
    const char* what = "";
    Place place;
    const void* in[32]{};
    void* out[32]{};
};

struct Barrier {
    unsigned turn = 0;
    int waiting = 0;
    Place place;
    char sync[2]{}; ///< what ThreadSanitizer orders by, in turn
};

/// Shared memory that every launch may have, and the most that it may be allowed.
constexpr size_t kSharedBytes = 48 << 10, kMostSharedBytes = 99 << 10;

/// The one launch that runs.
struct Machine {
    /// How threads take turns. Negative: in order. Else by chance, with seed % 3 = 1: one warp runs ahead as
    /// far as it can; 2: one thread is held back as long as possible.
    int seed = -1;
    dim3 grid, block, block_index;
    unsigned char* shared = nullptr;
    size_t shared_allowed = kSharedBytes; ///< by the next launch
    const char* last = "";                ///< kernel that was launched
    uint64_t products = 0;                ///< of matrices, so far
    void (*launched)() = nullptr;         ///< called after each launch
    Fiber* current = nullptr;

    std::mt19937 random;
    std::vector<Fiber> fibers;
    std::vector<int> ready;
    std::vector<int> warp_order;
    int held_back = 0, alive = 0;
    Barrier barrier;
    std::vector<std::vector<Meeting>> meetings; ///< per warp
    std::vector<Barrier> warp_barriers;
    Fiber host;
    const std::function<void()>* body = nullptr;
    char launch_sync = 0, end_sync = 0, fence_sync = 0;
    SIMT_TSAN(std::deque<void*> identities;) ///< of threads that are done
};

inline Machine& machine() {
    static Machine it;
    return it;
}

inline bool same_place(const Place& a, const Place& b) {
    return a.line() == b.line() && a.column() == b.column() && !std::strcmp(a.file_name(), b.file_name());
}

/// Tells what the kernel did wrong, and who waits for whom, and ends the process.
[[noreturn]] inline void stop(const char* message, Place at = Place::current(),
                              const Place* other = nullptr) {
    const Machine& it = machine();
    std::fprintf(stderr, "emulated kernel: %s at %s:%u", message, at.file_name(), at.line());
    if (other) std::fprintf(stderr, " and %s:%u", other->file_name(), other->line());
    std::fprintf(stderr, ", block (%u,%u,%u), thread %d, seed %d\n", it.block_index.x, it.block_index.y,
                 it.block_index.z, it.current ? it.current->number : -1, it.seed);
    int told = 0;
    for (const Fiber& fiber : it.fibers)
        if (fiber.waits_for && told++ < 4)
            std::fprintf(stderr, "  thread %d waits in %s at line %u\n", fiber.number, fiber.waits_for,
                         fiber.place.line());
    std::fflush(stderr);
    std::_Exit(86);
}

/// Takes out the next thread to run, or null.
inline Fiber* take_ready() {
    Machine& it = machine();
    if (it.ready.empty()) return nullptr;
    if (it.seed < 0) {
        const int number = it.ready.front();
        it.ready.erase(it.ready.begin());
        return &it.fibers[number];
    }
    size_t best = it.random() % it.ready.size();
    for (size_t i = 0; it.seed % 3 && i < it.ready.size(); i++) {
        const int a = it.ready[best], b = it.ready[i];
        if (it.seed % 3 == 1 ? it.warp_order[b / 32] < it.warp_order[a / 32] : a == it.held_back) best = i;
    }
    std::swap(it.ready[best], it.ready.back());
    const int number = it.ready.back();
    it.ready.pop_back();
    return &it.fibers[number];
}

/// Not for ThreadSanitizer to see: `current` is what all threads share.
__attribute__((noinline, no_sanitize("thread"))) inline void run(Fiber& from, Fiber& to) {
    machine().current = &to;
    switch_fibers(from, to);
}

/// Runs others until somebody wakes this thread.
inline void wait(const char* what, Place place) {
    Fiber& self = *machine().current;
    self.waits_for = what, self.place = place;
    Fiber* next = take_ready();
    run(self, next ? *next : machine().host);
}

inline void wake(int number) {
    machine().fibers[number].waits_for = nullptr;
    machine().ready.push_back(number);
}

constexpr const char* kBarrier = "__syncthreads";

inline void open_barrier() {
    Machine& it = machine();
    it.barrier.turn++, it.barrier.waiting = 0;
    for (const Fiber& fiber : it.fibers)
        if (fiber.waits_for == kBarrier) wake(fiber.number);
}

inline void barrier(Place place) {
    Machine& it = machine();
    unsigned turn;
    {
        Unseen unseen;
        turn = it.barrier.turn & 1;
    }
    SIMT_TSAN(__tsan_release(&it.barrier.sync[turn]);) {
        Unseen unseen;
        if (it.barrier.waiting && !same_place(it.barrier.place, place))
            stop("divergent __syncthreads", place, &it.barrier.place);
        it.barrier.place = place;
        if (++it.barrier.waiting == it.alive)
            open_barrier();
        else
            wait(kBarrier, place);
    }
    SIMT_TSAN(__tsan_acquire(&it.barrier.sync[turn]);)
    (void)turn;
}

/// A thread from its first to its last instruction.
inline void run_thread() {
    Machine& it = machine();
    SIMT_ASAN({
        const void* low;
        size_t bytes;
        __sanitizer_finish_switch_fiber(nullptr, &low, &bytes);
        if (!it.host.stack) it.host.stack = low, it.host.stack_bytes = bytes;
    })
    SIMT_TSAN(__tsan_acquire(&it.launch_sync);)
    (*it.body)();
    SIMT_TSAN(__tsan_release(&it.end_sync);)
    Fiber *self, *next;
    {
        Unseen unseen;
        self = it.current;
        self->done = true;
        it.alive--;
        if (it.alive && it.barrier.waiting == it.alive) open_barrier();
        next = take_ready();
        if (!next) next = &it.host;
    }
    run(*self, *next);
    __builtin_trap();
}

#if defined(__SANITIZE_THREAD__)
/// Who a thread is to ThreadSanitizer. One that is used again looks like the same thread as before, so that
/// races with itself are missed: it is used again late.
inline void* take_identity() {
    std::deque<void*>& identities = machine().identities;
    if (identities.size() < 4096) return __tsan_create_fiber(0);
    void* const identity = identities.front();
    identities.pop_front();
    return identity;
}
#endif

inline void run_block(char* stacks, int threads) {
    Machine& it = machine();
    const int warps = (threads + 31) / 32;
    it.fibers.assign(threads, {});
    it.meetings.assign(warps, {});
    it.warp_barriers.assign(warps, {});
    it.barrier = {};
    it.ready.clear();
    it.alive = threads;
    it.warp_order.resize(warps);
    for (int& order : it.warp_order) order = static_cast<int>(it.random() % 1024);
    it.held_back = static_cast<int>(it.random() % threads);
    for (int t = 0; t < threads; t++) {
        Fiber& fiber = it.fibers[t];
        fiber.number = t, fiber.lane = t % 32, fiber.warp = t / 32;
        const unsigned n = t;
        fiber.index = {n % it.block.x, n / it.block.x % it.block.y, n / it.block.x / it.block.y};
        prepare(fiber, stacks + t * kStackBytes, run_thread);
        SIMT_TSAN(fiber.tsan = take_identity();)
        it.ready.push_back(t);
    }
    while (Fiber* next = take_ready()) run(it.host, *next);
    it.current = nullptr;
    if (it.alive) stop("dead-lock: some threads wait for ever");
    SIMT_TSAN(for (const Fiber& fiber : it.fibers) it.identities.push_back(fiber.tsan);)
    it.fibers.clear();
}

/// Runs all blocks, in any order. To ThreadSanitizer the blocks of a launch are not ordered among themselves:
/// a janitor, who comes after all of them so far, frees their stacks and shared memory, so that using those
/// addresses again is no race, while accesses of two blocks to global memory can be.
inline void launch(dim3 grid, dim3 block, size_t shared_bytes, const std::function<void()>& body) {
    Machine& it = machine();
    const int threads = static_cast<int>(block.x * block.y * block.z);
    if (threads < 1 || threads > 1024 || shared_bytes > std::min(it.shared_allowed, kMostSharedBytes) ||
        grid.y > 65535 || grid.z > 65535)
        stop("a launch that no GPU takes");
    it.shared_allowed = kSharedBytes;
    it.grid = grid, it.block = block, it.body = &body;
    if (it.seed >= 0) it.random.seed(it.seed);
    SIMT_TSAN(it.host.tsan = __tsan_get_current_fiber(); void* const host = it.host.tsan;
              void* const janitor = __tsan_create_fiber(0);)
    SIMT_ASAN(it.host.stack = nullptr;)
    std::vector<uint32_t> order(static_cast<size_t>(grid.x) * grid.y * grid.z);
    for (size_t i = 0; i < order.size(); i++) order[i] = static_cast<uint32_t>(i);
    for (size_t i = order.size(); it.seed >= 0 && i > 1; i--) std::swap(order[i - 1], order[it.random() % i]);
    char* stacks = nullptr;
    for (const uint32_t number : order) {
        if (!stacks) stacks = static_cast<char*>(std::malloc(threads * kStackBytes));
        // Threads never return: their frames are still marked as in use.
        SIMT_ASAN(__asan_unpoison_memory_region(stacks, threads * kStackBytes);)
        auto* const shared = static_cast<unsigned char*>(std::malloc(std::max<size_t>(1, shared_bytes)));
        SIMT_TSAN(__tsan_release(&it.launch_sync);) {
            Unseen unseen;
            std::memset(shared, 0xff, shared_bytes); // NaN in every format
            it.shared = shared;
            it.block_index = {number % grid.x, number / grid.x % grid.y, number / grid.x / grid.y};
            run_block(stacks, threads);
        }
        SIMT_TSAN(__tsan_switch_to_fiber(janitor, 1); __tsan_acquire(&it.end_sync); std::free(stacks);
                  stacks = nullptr;)
        std::free(shared);
        SIMT_TSAN(__tsan_switch_to_fiber(host, 1);)
    }
    SIMT_TSAN(__tsan_acquire(&it.end_sync); __tsan_destroy_fiber(janitor);)
    std::free(stacks);
    if (it.launched) it.launched();
}

} // namespace simt

#define threadIdx (simt::machine().current->index)
#define blockIdx (simt::machine().block_index)
#define blockDim (simt::machine().block)
#define gridDim (simt::machine().grid)
#define SIMT_SHARED(name) unsigned char* const name = simt::machine().shared
#define SIMT_ALLOW_SHARED(kernel, bytes) simt::machine().shared_allowed = (bytes)
#define SIMT_LAUNCH(kernel, grid_size, block_size, shared_bytes, stream, ...)                                \
    simt::start((stream), [grid = dim3(grid_size), block = dim3(block_size), shared = size_t(shared_bytes),  \
                           allowed = std::exchange(simt::machine().shared_allowed, simt::kSharedBytes),      \
                           arguments = std::make_tuple(__VA_ARGS__)] {                                       \
        simt::machine().last = #kernel, simt::machine().shared_allowed = allowed;                            \
        simt::launch(grid, block, shared,                                                                    \
                     [&] { std::apply([](const auto&... each) { kernel(each...); }, arguments); });          \
    })

inline void __syncthreads(simt::Place place = simt::Place::current()) {
    simt::barrier(place);
}
