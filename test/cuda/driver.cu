// Runs steps of attention that it reads from its input, and writes what came out: for each step the numbers
// that driver.ts writes. Compiled by a C++ compiler it runs the kernels in the emulator, by nvcc on a GPU.
#include "device_memory.h"

#include <utility>

using namespace repowave::cuda;

namespace {

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

/// A run comes as K and V in 32 bits, and is appended token by token, or all at once.
Run read_run(Memory& memory, const Plan& plan) {
    Run run{};
    run.tokens = read_number<uint32_t>();
    run.bias = read_number<float>();
    const size_t elements = static_cast<size_t>(run.tokens) * plan.head_size;
    auto* const slots = memory.reserve<uint16_t>(2 * elements);
    run.slots = slots;
    Append append{};
    append.k = memory.read<float>(elements), append.v = memory.read<float>(elements);
    append.token_stride = append.head_size = plan.head_size;
    append.tails = memory.copy(std::vector<void*>{slots});
    const int step = run.tokens > 20 ? static_cast<int>(run.tokens) : 1;
    for (int t = 0; t < static_cast<int>(run.tokens); t += step) {
        append.first = t;
        if (repowave_cuda_append(plan.format, &append, step, 1, nullptr)) std::exit(5);
        append.k += static_cast<size_t>(step) * plan.head_size,
            append.v += static_cast<size_t>(step) * plan.head_size;
    }
    return run;
}

/// Every other cluster goes to another place, every fourth page by page, on a stream of its own; where it was
/// there is nothing any more.
void move_clusters(Memory& memory, const std::vector<Tile>& tiles, int slot_bytes) {
    std::vector<Move> moves;
    std::vector<Placing> placings;
    std::vector<std::pair<const void*, size_t>> left;
    for (const Tile& tile : tiles)
        for (uint32_t c = 0; tile.places && c < tile.count; c += 2) {
            Place place;
            cudaMemcpyAsync(&place, tile.places + c, sizeof place, cudaMemcpyDeviceToHost, nullptr);
            cudaStreamSynchronize(nullptr);
            const size_t bytes = static_cast<size_t>(place.tokens) * slot_bytes;
            if (!place.slots) continue;
            const uint32_t each = c % 4 ? kPageTokens : place.tokens;
            std::vector<void*> pages;
            for (uint32_t first = 0; first < place.tokens; first += each) {
                const uint32_t tokens = place.tokens - first < each ? place.tokens - first : each;
                pages.push_back(memory.reserve<char>(static_cast<size_t>(tokens) * slot_bytes));
                moves.push_back({static_cast<const char*>(place.slots) + static_cast<size_t>(first) * slot_bytes,
                                 pages.back(), tokens});
            }
            placings.push_back({const_cast<Place*>(tile.places + c), c % 4 ? memory.copy(pages) : pages[0],
                                c % 4 ? 1u : 0u});
            left.push_back({place.slots, bytes});
        }
    void* beside = nullptr;
    int error = repowave_cuda_stream(&beside);
    const auto then = [&](int next) { error = error ? error : next; };
    then(repowave_cuda_follow(beside, nullptr));
    then(repowave_cuda_move(memory.copy(moves), static_cast<int>(moves.size()), slot_bytes, beside));
    then(repowave_cuda_follow(nullptr, beside));
    then(repowave_cuda_place(memory.copy(placings), static_cast<int>(placings.size()), nullptr));
    if (error || cudaStreamSynchronize(nullptr) != cudaSuccess) std::exit(5);
    for (const auto& [slots, bytes] : left) {
        const std::vector<char> nothing(bytes, '\xff');
        cudaMemcpyAsync(const_cast<void*>(slots), nothing.data(), bytes, cudaMemcpyHostToDevice, nullptr);
    }
    repowave_cuda_end_stream(beside);
}

bool run_step() {
    Plan plan;
    if (!read_bytes(&plan, sizeof plan)) return false;
    const int seed = read_number<int>();
    const bool has_sinks = read_number<uint32_t>(), wants_mass = read_number<uint32_t>();
    const bool moves_clusters = read_number<uint32_t>();
#if !defined(__CUDACC__)
    simt::machine().seed = seed;
    simt::streams().late = seed >= 0;
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
    for (int i = 0; i < plan.kv_heads * plan.runs; i++) runs.push_back(read_run(memory, plan));
    step.tiles = memory.copy(tiles);
    step.runs = memory.copy(runs);
    step.out = memory.reserve<float>(rows * plan.head_size);
    step.lse = memory.reserve<float>(rows);
    step.reports = memory.reserve<HeadReport>(plan.kv_heads);
    step.bits = memory.reserve<uint32_t>(plan.kv_heads * plan.tiles);
    const size_t page_tokens = static_cast<size_t>(plan.max_pages) * kPageTokens;
    step.pages = memory.reserve<Run>(static_cast<size_t>(plan.kv_heads) * plan.max_pages);
    step.mass = wants_mass ? memory.reserve<float>(plan.kv_heads * page_tokens) : nullptr;
    step.coarse = wants_mass ? memory.reserve<float>(rows) : nullptr;
    if (moves_clusters) move_clusters(memory, tiles, 4 * plan.head_size);
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
    if (!wants_mass) return true;
    write(step.mass, plan.kv_heads * page_tokens);
    write(step.coarse, rows);
    return true;
}

} // namespace

int main() {
    while (run_step()) continue;
}
