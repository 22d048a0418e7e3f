// Input, and memory of the device that goes with what was read, for the programs that run kernels for tests.
#pragma once

#include "kernels/cuda/library.h"
#include "kernels/cuda/simt.h"

#include <cstdio>
#include <cstdlib>
#include <vector>

inline bool read_bytes(void* to, size_t bytes) {
    return std::fread(to, 1, bytes, stdin) == bytes;
}

template <class T> T read_number() {
    T x{};
    if (!read_bytes(&x, sizeof x)) std::exit(3);
    return x;
}

class Memory {
  public:
    Memory() = default;
    Memory(const Memory&) = delete;
    ~Memory() {
        for (void* each : all_) cudaFree(each);
    }
    template <class T> T* reserve(size_t count) {
        T* p = nullptr;
        if (cudaMalloc(&p, count * sizeof(T)) != cudaSuccess) std::exit(4);
        all_.push_back(p);
        return p;
    }
    template <class T> T* copy(const std::vector<T>& from) {
        T* p = reserve<T>(from.size());
        cudaMemcpyAsync(p, from.data(), from.size() * sizeof(T), cudaMemcpyHostToDevice, nullptr);
        return p;
    }
    /// The next numbers of the input.
    template <class T> T* read(size_t count) {
        std::vector<T> x(count);
        if (!read_bytes(x.data(), count * sizeof(T))) std::exit(3);
        return copy(x);
    }

  private:
    std::vector<void*> all_;
};

/// To the output.
template <class T> void write(const T* from, size_t count) {
    std::vector<T> x(count);
    cudaMemcpyAsync(x.data(), from, count * sizeof(T), cudaMemcpyDeviceToHost, nullptr);
    cudaStreamSynchronize(nullptr);
    std::fwrite(x.data(), sizeof(T), count, stdout);
}
