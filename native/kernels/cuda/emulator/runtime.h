// The few functions of the CUDA runtime that are called: memory is the process's own.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <tuple>

namespace simt {

/// A stream that was made. What is started on it runs at once or, late, when somebody waits for it and no
/// sooner. The default stream runs everything at once.
struct Stream {
    std::deque<std::function<void()>> work;
    size_t done = 0;
    size_t started() const { return done + work.size(); }
    void run(size_t until) {
        while (done < until && !work.empty()) {
            const auto next = std::move(work.front());
            work.pop_front();
            next();
            done++;
        }
    }
};

struct Event {
    std::shared_ptr<Stream> stream; ///< none: all is done
    size_t until = 0;
    void wait() const {
        if (stream) stream->run(until);
    }
};

struct Streams {
    bool late = false;                            ///< whether work waits for those who wait for it
    size_t pinnable = SIZE_MAX;                   ///< bytes that cudaHostRegister takes
    std::map<void*, std::shared_ptr<Stream>> all; ///< by address
    std::map<void*, size_t> pinned;
};

inline Streams& streams() {
    static Streams& it = *new Streams; // those who free memory may come last
    return it;
}

inline void start(void* stream, std::function<void()> work) {
    if (!stream || !streams().late) return work();
    static_cast<Stream*>(stream)->work.push_back(std::move(work));
}

} // namespace simt

using cudaStream_t = void*;
using cudaEvent_t = simt::Event*;
enum cudaError_t {
    cudaSuccess = 0,
    cudaErrorInvalidValue = 1,
    cudaErrorMemoryAllocation = 2,
    cudaErrorNotReady = 600,
    cudaErrorNotSupported = 801
};
enum cudaMemcpyKind { cudaMemcpyHostToDevice = 1, cudaMemcpyDeviceToHost = 2, cudaMemcpyDefault = 4 };
enum { cudaHostRegisterPortable = 1, cudaHostRegisterMapped = 2 };
enum { cudaStreamNonBlocking = 1, cudaEventDisableTiming = 2 };

/// 256 bytes aligned, filled with NaN.
template <class T> cudaError_t cudaMalloc(T** to, size_t bytes) {
    void* memory;
    if (posix_memalign(&memory, 256, bytes)) return cudaErrorMemoryAllocation;
    std::memset(memory, 0xff, bytes);
    *to = static_cast<T*>(memory);
    return cudaSuccess;
}
inline cudaError_t cudaMallocHost(void** to, size_t bytes) {
    return cudaMalloc(to, bytes);
}
inline cudaError_t cudaFree(void* p) {
    std::free(p);
    return cudaSuccess;
}
inline cudaError_t cudaFreeHost(void* p) {
    return cudaFree(p);
}
inline cudaError_t cudaHostRegister(void* memory, size_t bytes, unsigned) {
    simt::Streams& it = simt::streams();
    size_t pinned = 0;
    for (const auto& [address, own] : it.pinned) {
        if (address<static_cast<char*>(memory) + bytes&& static_cast<char*>(address) + own> memory)
            return cudaErrorInvalidValue;
        pinned += own;
    }
    if (bytes > it.pinnable - std::min(it.pinnable, pinned)) return cudaErrorMemoryAllocation;
    it.pinned[memory] = bytes;
    return cudaSuccess;
}
inline cudaError_t cudaHostUnregister(void* memory) {
    return simt::streams().pinned.erase(memory) ? cudaSuccess : cudaErrorInvalidValue;
}
inline cudaError_t cudaHostGetDevicePointer(void** to, void* memory, unsigned) {
    *to = memory;
    return cudaSuccess;
}
inline cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind,
                                   cudaStream_t stream) {
    // Of nothing, pointers may be null.
    if (bytes) simt::start(stream, [=] { std::memcpy(to, from, bytes); });
    return cudaSuccess;
}
inline cudaError_t cudaStreamCreateWithFlags(cudaStream_t* to, unsigned) {
    auto stream = std::make_shared<simt::Stream>();
    *to = stream.get();
    simt::streams().all[*to] = std::move(stream);
    return cudaSuccess;
}
inline cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
    if (stream) static_cast<simt::Stream*>(stream)->run(SIZE_MAX);
    return cudaSuccess;
}
inline cudaError_t cudaDeviceSynchronize() {
    for (const auto& [stream, own] : simt::streams().all) own->run(SIZE_MAX);
    return cudaSuccess;
}
/// What cudaGetLastError tells once.
inline cudaError_t& last_error() {
    static thread_local cudaError_t error = cudaSuccess;
    return error;
}
/// Like a GPU's it leaves an error behind when the stream is not ready.
inline cudaError_t cudaStreamQuery(cudaStream_t stream) {
    const bool idle = !stream || static_cast<simt::Stream*>(stream)->work.empty();
    return idle ? cudaSuccess : last_error() = cudaErrorNotReady;
}
inline cudaError_t cudaStreamDestroy(cudaStream_t stream) {
    cudaStreamSynchronize(stream);
    simt::streams().all.erase(stream);
    return cudaSuccess;
}
inline cudaError_t cudaEventCreateWithFlags(cudaEvent_t* to, unsigned) {
    *to = new simt::Event;
    return cudaSuccess;
}
inline cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
    *event = {};
    if (stream) event->stream = simt::streams().all.at(stream), event->until = event->stream->started();
    return cudaSuccess;
}
inline cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
    simt::start(stream, [event = *event] { event.wait(); });
    return cudaSuccess;
}
inline cudaError_t cudaEventDestroy(cudaEvent_t event) {
    delete event;
    return cudaSuccess;
}
inline cudaError_t cudaGetLastError() {
    const cudaError_t error = last_error();
    last_error() = cudaSuccess;
    return error;
}
inline const char* cudaGetErrorString(cudaError_t error) {
    return error == cudaSuccess ? "no error" : "out of memory";
}
