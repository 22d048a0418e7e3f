// Copies from the buffer in RAM to the device that run beside the kernels, on a stream of their own.
#pragma once

#include "../wave/block_cache.h"
#include "cuda_memory.h"

#include <memory>

namespace repowave {

class CudaCopies {
  public:
    /// Throws CudaProblem
    CudaCopies(CudaMemory& memory, size_t slot_bytes);
    ~CudaCopies();
    CudaCopies(const CudaCopies&) = delete;
    CudaCopies& operator=(const CudaCopies&) = delete;

    /// What is started on the default stream from now on finds everything copied. Throws CudaProblem
    void join();
    /// Lets go of what was copied from: after join, and a wait for the default stream.
    void release();
    /// Waits, and lets go. @returns CUDA's error, or 0
    int settle();

    bool idle() const { return memory_.library().idle(stream_) != 0; }

    /// Until they are let go of, rows of the cache stay where they are.
    const wave::BlockCache::Step& hold(wave::BlockCache& cache);
    /// Until it is let go of, memory that is pinned; one piece for each start. Throws CudaProblem
    uint8_t* stage(size_t bytes);
    /// What is copied to is read by nothing that was started on the default stream since it was waited for.
    /// Throws CudaProblem
    void start(const std::vector<cuda::Move>& moves);

  private:
    /// What a start reads.
    struct Batch {
        Buffer staging, moves;
    };

    CudaMemory& memory_;
    size_t slot_bytes_;
    void* stream_ = nullptr;
    std::unique_ptr<wave::BlockCache::Step> held_;
    std::vector<Batch> batches_;
    size_t started_ = 0; ///< batches since the last release
};

} // namespace repowave
