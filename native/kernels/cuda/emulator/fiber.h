// Fibers: threads that give the processor away by themselves. x86-64, System V.
#pragma once

#include "types.h"

#include <cstdlib>
#include <source_location>

#if defined(__SANITIZE_THREAD__)
extern "C" {
void* __tsan_get_current_fiber();
void* __tsan_create_fiber(unsigned);
void __tsan_destroy_fiber(void*);
void __tsan_switch_to_fiber(void*, unsigned);
void __tsan_acquire(void*);
void __tsan_release(void*);
void AnnotateIgnoreReadsBegin(const char*, int);
void AnnotateIgnoreReadsEnd(const char*, int);
void AnnotateIgnoreWritesBegin(const char*, int);
void AnnotateIgnoreWritesEnd(const char*, int);
}
#define SIMT_TSAN(...) __VA_ARGS__
#else
#define SIMT_TSAN(...)
#endif

#if defined(__SANITIZE_ADDRESS__)
extern "C" {
void __sanitizer_start_switch_fiber(void**, const void*, size_t);
void __sanitizer_finish_switch_fiber(void*, const void**, size_t*);
void __asan_unpoison_memory_region(void const volatile*, size_t);
}
#define SIMT_ASAN(...) __VA_ARGS__
#else
#define SIMT_ASAN(...)
#endif

namespace simt {

using Place = std::source_location;
constexpr size_t kStackBytes = 32 << 10;

/// The emulator's own accesses order nothing between the kernel's threads, and are no races.
struct Unseen {
    Unseen() { SIMT_TSAN(AnnotateIgnoreReadsBegin("", 0); AnnotateIgnoreWritesBegin("", 0);) }
    ~Unseen() { SIMT_TSAN(AnnotateIgnoreReadsEnd("", 0); AnnotateIgnoreWritesEnd("", 0);) }
};

struct Fiber {
    void* stack_pointer = nullptr;
    const void* stack = nullptr; ///< its lowest address
    size_t stack_bytes = 0;
    uint3 index{};
    int number = 0, lane = 0, warp = 0;
    bool done = false;
    const char* waits_for = nullptr;
    Place place;
    SIMT_TSAN(void* tsan = nullptr;)
    SIMT_ASAN(void* fake_stack = nullptr;)
};

/// Keeps the registers that a call must keep, and goes on where the other stack was left.
__attribute__((naked, noinline)) static void swap_stacks(void**, void*) {
    asm("push %rbp; push %rbx; push %r12; push %r13; push %r14; push %r15; mov %rsp,(%rdi); mov %rsi,%rsp;"
        "pop %r15; pop %r14; pop %r13; pop %r12; pop %rbx; pop %rbp; ret");
}

__attribute__((noinline, no_sanitize("thread"))) static void switch_fibers(Fiber& from, Fiber& to) {
    SIMT_ASAN(
        __sanitizer_start_switch_fiber(from.done ? nullptr : &from.fake_stack, to.stack, to.stack_bytes);)
    SIMT_TSAN(__tsan_switch_to_fiber(to.tsan, 1 /* orders nothing */);)
    swap_stacks(&from.stack_pointer, to.stack_pointer);
    SIMT_ASAN(const void* low; size_t bytes; __sanitizer_finish_switch_fiber(from.fake_stack, &low, &bytes);)
}

/// The fiber will begin at `entry`, on its own stack; `entry` never returns.
inline void prepare(Fiber& fiber, void* stack, void (*entry)()) {
    fiber.stack = stack, fiber.stack_bytes = kStackBytes;
    auto top = reinterpret_cast<void**>((reinterpret_cast<uintptr_t>(stack) + kStackBytes) & ~uintptr_t{63});
    *--top = nullptr;
    *--top = reinterpret_cast<void*>(entry);
    for (int i = 0; i < 6; i++) *--top = nullptr;
    fiber.stack_pointer = top;
}

} // namespace simt
