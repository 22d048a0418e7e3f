#include "self_test.h"

#include "../wave/clusters.h"

#include <cmath>
#include <random>

namespace repowave {
namespace {

constexpr float kTolerance = 1e-2f;

class RandomLayer {
  public:
    RandomLayer(const wave::KvShape& shape, int query_heads)
        : shape_(shape), query_heads_(query_heads), seen_(shape), outlined_(shape), tail_(shape),
          q_(numbers(query_heads * shape.dk)) {
        fill(seen_, 500), fill(outlined_, 600), fill(tail_, 30);
        for (uint32_t head = 0; head < shape.kv_heads; head++) {
            exact_.push_back(seen_.run(0, head, seen_.tokens()));
            exact_.back().id = seen_id_;
            own_.push_back(tail_.run(0, head, tail_.tokens()));
            indexes_.emplace_back(shape, outlined_.run(0, head, outlined_.tokens()));
            const wave::Summaries outline = indexes_.back().view().fine;
            background_.push_back({outline, -0.5f, outline, outlined_id_});
        }
    }

    wave::AttentionCall call(std::vector<float>& out) const {
        wave::AttentionCall call{};
        const size_t row = shape_.dk * sizeof(float);
        out.assign(query_heads_ * shape_.dv, 0.0f);
        call.q = reinterpret_cast<const uint8_t*>(q_.data()), call.q_head_stride = row;
        call.out = reinterpret_cast<uint8_t*>(out.data()), call.out_head_stride = row;
        call.tokens = 1, call.scale = 1 / std::sqrt(static_cast<float>(shape_.dk));
        call.exact = exact_.data(), call.exact_count = 1;
        call.background = background_.data(), call.background_count = 1;
        call.estimate = true, call.tail = own_.data();
        return call;
    }

  private:
    std::vector<float> numbers(size_t count) {
        std::vector<float> all(count);
        for (float& each : all) each = normal_(random_);
        return all;
    }
    void fill(wave::KvTail& tail, size_t tokens) {
        const size_t width = shape_.kv_heads * shape_.dk;
        const std::vector<float> k = numbers(tokens * width), v = numbers(tokens * width);
        tail.reserve(tokens);
        for (uint32_t head = 0; head < shape_.kv_heads; head++) {
            const size_t stride = width * sizeof(float);
            tail.write_keys(0, head, 0, tokens, reinterpret_cast<const uint8_t*>(k.data()), stride);
            tail.write_values(0, head, 0, tokens, reinterpret_cast<const uint8_t*>(v.data()), stride);
        }
        tail.set_tokens(tokens);
    }

    const uint64_t seen_id_ = wave::new_identity(), outlined_id_ = wave::new_identity();
    std::minstd_rand random_;
    std::normal_distribution<float> normal_;
    wave::KvShape shape_;
    int query_heads_;
    wave::KvTail seen_, outlined_, tail_;
    std::vector<float> q_;
    std::vector<wave::KvRun> exact_, own_; ///< [kv_heads]
    std::vector<wave::BuiltClusters> indexes_;
    std::vector<wave::CoarseRun> background_;
};

} // namespace

void test_device(const CudaLibrary& library, size_t cap, wave::KvShape shape, int query_heads) {
    shape.layers = 1;
    const RandomLayer layer(shape, query_heads);
    std::vector<float> expected, actual;
    wave::Attention processor(shape, query_heads, 1);
    processor.begin(layer.call(expected));
    processor.work(0);
    CudaAttention device(library, cap, shape, query_heads);
    if (!device.attend(layer.call(actual))) {
        if (!device.failure().empty()) throw CudaProblem(device.failure());
        return; // It has no room for this, and will leave all to the processor.
    }
    float difference = 0, norm = 0;
    for (size_t i = 0; i < expected.size(); i++) {
        difference += (actual[i] - expected[i]) * (actual[i] - expected[i]);
        norm += expected[i] * expected[i];
    }
    // Not a number is no agreement either.
    if (!(difference <= kTolerance * kTolerance * norm))
        throw CudaProblem("the GPU computes something else than the processor in a test of its kernels");
}

} // namespace repowave
