#include "cuda_copies.h"

#include <cstring>

namespace repowave {

CudaCopies::CudaCopies(CudaMemory& memory, size_t slot_bytes) : memory_(memory), slot_bytes_(slot_bytes) {
    memory_.library().check(memory_.library().stream(&stream_));
}

CudaCopies::~CudaCopies() {
    settle();
    memory_.library().end_stream(stream_);
}

void CudaCopies::join() {
    if (started_ > 0) memory_.library().check(memory_.library().follow(nullptr, stream_));
}

void CudaCopies::release() {
    held_.reset();
    started_ = 0;
}

int CudaCopies::settle() {
    const int error = started_ > 0 ? memory_.library().wait(stream_) : 0;
    release();
    return error;
}

const wave::BlockCache::Step& CudaCopies::hold(wave::BlockCache& cache) {
    if (!held_) held_ = std::make_unique<wave::BlockCache::Step>(cache);
    return *held_;
}

uint8_t* CudaCopies::stage(size_t bytes) {
    if (started_ == batches_.size()) batches_.emplace_back();
    reserve_pinned(memory_, batches_[started_].staging, bytes);
    return batches_[started_].staging.as<uint8_t>();
}

void CudaCopies::start(const std::vector<cuda::Move>& moves) {
    if (moves.empty()) return;
    if (started_ == batches_.size()) batches_.emplace_back();
    Buffer& own = batches_[started_++].moves;
    const size_t bytes = moves.size() * sizeof(cuda::Move);
    reserve_pinned(memory_, own, bytes);
    std::memcpy(own.as<void>(), moves.data(), bytes);
    const CudaLibrary& library = memory_.library();
    library.check(library.move(own.as<cuda::Move>(), static_cast<int>(moves.size()),
                               static_cast<int>(slot_bytes_), stream_));
}

} // namespace repowave
