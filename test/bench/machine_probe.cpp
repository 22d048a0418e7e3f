// What this machine can do at most: bytes read from memory and multiply-adds per second, over all threads.
//
//   machine_probe THREADS      prints {"readBytes": per second, "flops": per second}, the best of some rounds
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <thread>
#include <vector>

namespace {

constexpr int kRounds = 7;
constexpr size_t kBytesPerThread = size_t{256} << 20; // far beyond any cache
constexpr size_t kChains = 256;                       // independent sums, enough to hide the latency of each
constexpr size_t kSteps = 4'000'000;

volatile uint64_t sink; // keeps the work from being optimised away

double seconds(const std::function<void()>& work) {
    const auto start = std::chrono::steady_clock::now();
    work();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// The most work per second of several rounds in which every thread does its part.
double best(int threads, double workPerThread, const std::function<void(int)>& part) {
    double most = 0;
    for (int round = 0; round < kRounds; round++) {
        const double taken = seconds([&] {
            std::vector<std::thread> all;
            for (int i = 0; i < threads; i++) all.emplace_back(part, i);
            for (std::thread& one : all) one.join();
        });
        most = std::max(most, threads * workPerThread / taken);
    }
    return most;
}

void read(const std::vector<uint64_t>& words) {
    uint64_t sums[8] = {};
    for (size_t i = 0; i + 8 <= words.size(); i += 8)
        for (size_t k = 0; k < 8; k++) sums[k] += words[i + k];
    for (const uint64_t sum : sums) sink = sink + sum;
}

void multiplyAdd() {
    float sums[kChains];
    for (size_t k = 0; k < kChains; k++) sums[k] = static_cast<float>(k);
    const float factor = 0.999F + static_cast<float>(sink & 1) * 1e-7F, summand = 1e-3F;
    for (size_t step = 0; step < kSteps; step++)
        for (float& sum : sums) sum = sum * factor + summand;
    for (const float sum : sums) sink = sink + static_cast<uint64_t>(sum);
}

} // namespace

int main(int argc, char** argv) {
    const int threads = argc == 2 ? std::atoi(argv[1]) : 0;
    if (threads <= 0) {
        std::fprintf(stderr, "usage: machine_probe THREADS\n");
        return 2;
    }
    std::vector<std::vector<uint64_t>> memory(threads, std::vector<uint64_t>(kBytesPerThread / sizeof(uint64_t), 1));
    const double bytes = best(threads, kBytesPerThread, [&](int i) { read(memory[i]); });
    const double flops = best(threads, 2.0 * kChains * kSteps, [](int) { multiplyAdd(); });
    std::printf("{\"readBytes\": %.0f, \"flops\": %.0f}\n", bytes, flops);
}
