// Runs steps of attention that it reads from its input, and writes what came out: for each step the numbers that
// driver.ts writes. Compiled by a C++ compiler it runs the kernels in the emulator, by nvcc on a GPU.
#include "kernels/cuda/library.h"
#include "kernels/cuda/simt.h"

#include <cstdio>
#include <vector>

using namespace repowave::cuda;

namespace {

bool read_bytes(void* to, size_t bytes) {
    return std::fread(to, 1, bytes, stdin) == bytes;
}

template <class T> T read_number() {
    T x{};
    if (!read_bytes(&x, sizeof x)) std::exit(3);
    return x;
}

/// Memory of the device that goes with the step.
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

template <class T> void write(const T* from, size_t count) {
    std::vector<T> x(count);
    cudaMemcpyAsync(x.data(), from, count * sizeof(T), cudaMemcpyDeviceToHost, nullptr);
    cudaStreamSynchronize(nullptr);
    std::fwrite(x.data(), sizeof(T), count, stdout);
}

Tile read_tile(Memory& memory, int head_size) {
    Tile tile{};
    tile.count = read_number<uint32_t>();
    tile.bias = read_number<float>();
    const bool has_places = read_number<uint32_t>();
    tile.keys = memory.read<uint16_t>(tile.count * head_size);
    tile.values = memory.read<uint16_t>(tile.count * head_size);
    tile.log_sizes = memory.read<float>(tile.count);
    if (!has_places) return tile;
    std::vector<Place> places(tile.count);
    for (Place& place : places) {
        place.tokens = read_number<uint32_t>();
        const bool there = read_number<uint32_t>();
        place.slots = there ? memory.read<uint16_t>(place.tokens * 2 * head_size) : nullptr;
    }
    tile.places = memory.copy(places);
    return tile;
}

Run read_run(Memory& memory, int head_size) {
    Run run{};
    run.tokens = read_number<uint32_t>();
    run.bias = read_number<float>();
    run.slots = memory.read<uint16_t>(run.tokens * 2 * head_size);
    return run;
}

bool run_step() {
    Plan plan;
    if (!read_bytes(&plan, sizeof plan)) return false;
    const int seed = read_number<int>();
    const bool has_sinks = read_number<uint32_t>();
#if !defined(__CUDACC__)
    simt::machine().seed = seed;
#endif
    (void)seed;
    Memory memory;
    const size_t rows = static_cast<size_t>(plan.kv_heads) * plan.group;
    Step step{};
    step.q = memory.read<float>(rows * plan.head_size);
    step.sinks = has_sinks ? memory.read<float>(rows) : nullptr;
    std::vector<Tile> tiles;
    for (int i = 0; i < plan.kv_heads * plan.tiles; i++) tiles.push_back(read_tile(memory, plan.head_size));
    std::vector<Run> runs;
    for (int i = 0; i < plan.kv_heads * plan.runs; i++) runs.push_back(read_run(memory, plan.head_size));
    step.tiles = memory.copy(tiles);
    step.runs = memory.copy(runs);
    step.out = memory.reserve<float>(rows * plan.head_size);
    step.lse = memory.reserve<float>(rows);
    step.reports = memory.reserve<HeadReport>(plan.kv_heads);
    step.bits = memory.reserve<uint32_t>(plan.kv_heads * plan.tiles);
    char* const workspace = memory.reserve<char>(repowave_cuda_workspace(&plan));
    const int error = repowave_cuda_decode(&plan, &step, workspace, nullptr);
    if (error || cudaStreamSynchronize(nullptr) != cudaSuccess) {
        std::fprintf(stderr, "%s\n", repowave_cuda_error(error));
        std::exit(5);
    }
    write(step.out, rows * plan.head_size);
    write(step.lse, rows);
    write(step.reports, plan.kv_heads);
    write(step.bits, plan.kv_heads * plan.tiles);
    return true;
}

} // namespace

int main() {
    while (run_step()) continue;
}
