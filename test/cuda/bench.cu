// Times the kernels of a step on a GPU: one layer of 8 KV heads of 128, 4 query heads each, fp16. Synthetic
// numbers. bench CLUSTERS HIT_PERCENT: prints one line of JSON. It has not run on a GPU yet.
#include "kernels/cuda/decode.cuh"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <vector>

using namespace repowave::cuda;

namespace {

constexpr int kD = 128, kHeads = 8, kGroup = 4, kTokens = 16, kSteady = 608, kLayers = 32, kRounds = 50;

void check(cudaError_t error) {
    if (error == cudaSuccess) return;
    std::fprintf(stderr, "%s\n", cudaGetErrorString(error));
    std::exit(1);
}

template <class T> T* reserve(size_t count) {
    T* p;
    check(cudaMalloc(&p, count * sizeof(T)));
    return p;
}

template <class T> T* copy(const std::vector<T>& x) {
    T* p = reserve<T>(x.size());
    check(cudaMemcpy(p, x.data(), x.size() * sizeof(T), cudaMemcpyHostToDevice));
    return p;
}

__global__ void fill(__half* to, size_t count, float size, unsigned seed) {
    for (size_t i = blockIdx.x * size_t{blockDim.x} + threadIdx.x; i < count;
         i += size_t{gridDim.x} * blockDim.x) {
        unsigned x = static_cast<unsigned>(i) * 2654435761u ^ seed;
        x = (x ^ x >> 15) * 2246822519u;
        to[i] = __float2half(size * (((x ^ x >> 13) & 0xffff) / 32768.0f - 1));
    }
}

__half* noise(size_t count, float size, unsigned seed) {
    __half* const p = reserve<__half>(count);
    fill<<<1024, 256>>>(p, count, size, seed);
    return p;
}

/// The median of some rounds, in microseconds.
template <class Work> double time_of(cudaStream_t stream, Work work) {
    std::vector<float> times;
    cudaEvent_t before, after;
    check(cudaEventCreate(&before));
    check(cudaEventCreate(&after));
    for (int i = 0; i < kRounds; i++) {
        check(cudaEventRecord(before, stream));
        work();
        check(cudaEventRecord(after, stream));
        check(cudaEventSynchronize(after));
        float ms;
        check(cudaEventElapsedTime(&ms, before, after));
        times.push_back(ms * 1000);
    }
    std::sort(times.begin(), times.end());
    return times[kRounds / 2];
}

/// What the device reaches when it copies, in GB/s of reading and writing.
double measured_bandwidth(cudaStream_t stream) {
    constexpr size_t bytes = size_t{1} << 30;
    char *const from = reserve<char>(bytes), *const to = reserve<char>(bytes);
    const double us =
        time_of(stream, [&] { check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream)); });
    check(cudaFree(from));
    check(cudaFree(to));
    return 2.0 * bytes / us / 1e3;
}

/// What a copy from pinned memory of the host reaches, in GB/s.
double measured_bus(cudaStream_t stream, const void* host, size_t bytes) {
    char* const to = reserve<char>(bytes);
    const double us =
        time_of(stream, [&] { check(cudaMemcpyAsync(to, host, bytes, cudaMemcpyHostToDevice, stream)); });
    check(cudaFree(to));
    return bytes / us / 1e3;
}

} // namespace

int main(int count, char** arguments) {
    const int clusters = (count > 1 ? std::atoi(arguments[1]) : 65536) / kTileClusters * kTileClusters;
    const int hit_percent = count > 2 ? std::atoi(arguments[2]) : 100;
    const int tiles = clusters / kTileClusters;
    const size_t slot = 2 * kD;
    cudaStream_t stream;
    check(cudaStreamCreate(&stream));
    cudaDeviceProp device;
    check(cudaGetDeviceProperties(&device, 0));
    const double bandwidth = measured_bandwidth(stream);

    const size_t all = size_t{kHeads} * clusters;
    const __half *const keys = noise(all * kD, 1, 2), *const values = noise(all * kD, 1, 3);
    std::vector<float> sizes(all, std::log(float{kTokens}));
    const float* const log_sizes = copy(sizes);
    // The cache of the device, and pinned memory of the host for what is not in it.
    const size_t pool = std::min(all, size_t{1} << 17) * kTokens * slot;
    __half *const cache = noise(pool, 1, 4), *host;
    check(cudaMallocHost(&host, pool * sizeof(__half)));
    check(cudaMemcpy(host, cache, pool * sizeof(__half), cudaMemcpyDeviceToHost));
    const double bus = measured_bus(stream, host, std::min(pool * sizeof(__half), size_t{1} << 28));
    std::vector<Place> places(all);
    for (size_t i = 0; i < all; i++) {
        const bool hit = std::rand() % 100 < hit_percent;
        places[i] = {(hit ? cache : host) + i * kTokens * slot % pool, kTokens, 0};
    }
    const Place* const map = copy(places);
    std::vector<Tile> list(kHeads * tiles);
    for (size_t t = 0; t < list.size(); t++) {
        const size_t first = t * kTileClusters;
        list[t] = {keys + first * kD, values + first * kD, log_sizes + first, map + first, kTileClusters, 0};
    }
    std::vector<Run> runs(kHeads, {cache, kSteady, 0});
    std::vector<float> q(kHeads * kGroup * kD);
    for (float& x : q) x = std::rand() / float{RAND_MAX} - 0.5f;

    Plan plan{Format::f16, kD, kHeads, kGroup, tiles, 1};
    plan.budget = static_cast<uint32_t>(std::max(1024, clusters * kTokens / 50));
    plan.max_pages = static_cast<int>(kSteady / kPageTokens + plan.budget / kPageTokens + 64);
    plan.estimate = true, plan.scale = 1 / std::sqrt(float{kD});
    const int blocks = device.multiProcessorCount;
    plan.score_blocks = std::max(1, 4 * blocks / kHeads);
    plan.exact_blocks = std::max(1, blocks / kHeads), plan.estimate_blocks = std::max(1, 2 * blocks / kHeads);
    Step step{};
    step.q = copy(q), step.tiles = copy(list), step.runs = copy(runs);
    step.out = reserve<float>(q.size()), step.lse = reserve<float>(kHeads * kGroup);
    step.reports = reserve<HeadReport>(kHeads), step.bits = reserve<uint32_t>(kHeads * tiles);
    step.pages = reserve<Run>(static_cast<size_t>(kHeads) * plan.max_pages);
    Workspace workspace;
    lay_out(plan, reserve<char>(lay_out(plan, nullptr, workspace)), workspace);

    const Stages<__half, kD> stages{plan, step, workspace, stream};
    const double score = time_of(stream, [&] { stages.score(); }),
                 rank = time_of(stream, [&] { stages.rank(); }),
                 select = time_of(stream, [&] { stages.select(); }),
                 pages = time_of(stream, [&] { stages.list_pages(); }),
                 attend = time_of(stream, [&] { stages.attend(); }),
                 merge = time_of(stream, [&] { stages.merge(); });
    cudaGraph_t graph;
    cudaGraphExec_t token;
    check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
    for (int layer = 0; layer < kLayers; layer++) {
        repowave::cuda::choose<__half, kD>(plan, step, workspace, stream);
        repowave::cuda::attend<__half, kD>(plan, step, workspace, stream);
    }
    check(cudaStreamEndCapture(stream, &graph));
    check(cudaGraphInstantiate(&token, graph, 0));
    const double all_layers = time_of(stream, [&] { check(cudaGraphLaunch(token, stream)); });
    check(cudaGetLastError());

    const double summaries = all * kD * 2.0, exact = (plan.budget + kSteady) * double{kHeads} * slot * 2;
    const double score_rate = summaries / score / 1e3, attend_rate = (summaries + exact) / attend / 1e3;
    const double miss_rate = plan.budget * double{kHeads} * slot * 2 * (100 - hit_percent) / 100 / attend / 1e3;
    std::printf("{\"device\":\"%s\",\"clusters\":%d,\"hitPercent\":%d,\"copyGBs\":%.0f,\"us\":{\"score\":%."
                "1f,\"rank\":%.1f,"
                "\"select\":%.1f,\"pages\":%.1f,\"attend\":%.1f,\"merge\":%.1f,\"graphOf32Layers\":%.1f},"
                "\"scoreShare\":%.2f,\"attendShare\":%.2f,\"busGBs\":%.1f,\"missShare\":%.2f}\n",
                device.name, clusters, hit_percent, bandwidth, score, rank, select, pages, attend, merge,
                all_layers, score_rate / bandwidth, attend_rate / bandwidth, bus, miss_rate / bus);
    // At least 80 % of what copying reaches: in memory when all is there, over the bus when nothing is.
    if (hit_percent == 100) return score_rate >= 0.8 * bandwidth && attend_rate >= 0.8 * bandwidth ? 0 : 1;
    return hit_percent > 0 || miss_rate >= 0.8 * bus ? 0 : 1;
}
