#include "head_mass.h"

#include <atomic>
#include <cmath>
#include <exception>
#include <limits>
#include <map>
#include <mutex>
#include <thread>

namespace wave {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

size_t scratch_floats(size_t rows, uint32_t dk) {
    return rows * (kTileKeys + 3) + 16 +
           attend_scratch_floats(static_cast<int>(rows), static_cast<int>(dk), 0);
}

/// The logarithm of sum exp(q . k) over the keys of a run, for each query.
void log_sums(const KvShape& shape, const HeadQueries& head, const KvRun& run, float* scratch,
              float* result) {
    const int rows = static_cast<int>(head.q.size() / shape.dk);
    float* work = scratch;
    float* logits = work + attend_scratch_floats(rows, static_cast<int>(shape.dk), 0);
    float *m = logits + static_cast<size_t>(rows) * kTileKeys, *l = m + rows;
    std::fill_n(m, rows, -kInfinity);
    std::fill_n(l, rows, 0.0f);
    for (size_t at = 0; at < run.tokens; at += kTileKeys) {
        ScoreBlock score{};
        score.q = head.q.data(), score.rows = rows, score.dk = static_cast<int>(shape.dk),
        score.type = shape.type;
        score.k = run.slots + at * shape.slot_bytes();
        score.k_stride = shape.slot_elements();
        score.keys = static_cast<int>(std::min<size_t>(kTileKeys, run.tokens - at));
        score.logits = logits, score.stride = kTileKeys, score.scratch = work;
        kernels().score(score);
        WeighBlock weigh{};
        weigh.logits = logits, weigh.stride = kTileKeys, weigh.rows = rows, weigh.keys = score.keys;
        weigh.type = shape.type, weigh.m = m, weigh.l = l, weigh.scratch = work;
        kernels().weigh(weigh);
    }
    for (int r = 0; r < rows; r++) result[r] = l[r] > 0 ? m[r] + std::log(l[r]) : -kInfinity;
}

/// [queries][segments] to [segments] shares, summed over the queries.
void add_shares(const std::vector<float>& sums, size_t segments, float* mass) {
    for (size_t q = 0; q < sums.size() / segments; q++) {
        const float* row = sums.data() + q * segments;
        const float top = *std::max_element(row, row + segments);
        double total = 0;
        for (size_t s = 0; s < segments; s++) total += std::exp(static_cast<double>(row[s] - top));
        for (size_t s = 0; s < segments; s++)
            mass[s] += static_cast<float>(std::exp(static_cast<double>(row[s] - top)) / total);
    }
}

/// The queries that look at the same keys.
struct Group {
    size_t head; ///< layer * kv_heads + KV head
    std::vector<size_t> queries;
};
std::vector<Group> groups_of(const KvShape& shape, const std::vector<HeadQueries>& heads) {
    std::map<size_t, std::vector<size_t>> groups;
    for (size_t i = 0; i < heads.size(); i++)
        groups[static_cast<size_t>(heads[i].layer) * shape.kv_heads + heads[i].kv_head].push_back(i);
    std::vector<Group> result;
    for (auto& [head, queries] : groups) result.push_back({head, std::move(queries)});
    return result;
}

} // namespace

std::vector<float> head_mass(const KvShape& shape, const std::vector<HeadQueries>& heads,
                             const std::vector<std::shared_ptr<const Segment>>& segments, int threads) {
    const size_t count = segments.size();
    std::vector<float> mass(heads.size() * count);
    if (count == 0) return mass;
    size_t most_rows = 0, most_bytes = 0;
    std::vector<std::vector<float>> sums; // per head [queries][segments]
    for (const HeadQueries& head : heads) {
        most_rows = std::max(most_rows, head.q.size() / shape.dk);
        sums.emplace_back(head.q.size() / shape.dk * count);
    }
    for (const auto& segment : segments) most_bytes = std::max(most_bytes, segment->slots_bytes());
    const std::vector<Group> groups = groups_of(shape, heads);
    std::atomic<size_t> next{0};
    std::exception_ptr failure;
    std::mutex mutex;
    const auto score = [&] {
        const AlignedBytes slots = aligned_bytes(most_bytes),
                           memory = aligned_bytes(scratch_floats(most_rows, shape.dk) * sizeof(float));
        auto* scratch = reinterpret_cast<float*>(memory.get());
        float* column = scratch + scratch_floats(most_rows, shape.dk) - most_rows;
        for (size_t i; (i = next.fetch_add(1)) < groups.size() * count;) {
            const size_t segment = i / groups.size();
            const Group& group = groups[i % groups.size()];
            segments[segment]->read_slots(group.head, slots.get());
            for (const size_t head : group.queries) {
                log_sums(shape, heads[head], {slots.get(), segments[segment]->tokens()}, scratch, column);
                for (size_t q = 0; q < heads[head].q.size() / shape.dk; q++)
                    sums[head][q * count + segment] = column[q];
            }
        }
    };
    const auto work = [&] {
        try {
            score();
        } catch (...) {
            const std::lock_guard lock(mutex);
            failure = std::current_exception();
        }
    };
    std::vector<std::thread> others;
    for (int i = 1; i < threads; i++) others.emplace_back(work);
    work();
    for (std::thread& other : others) other.join();
    if (failure) std::rethrow_exception(failure);
    for (size_t head = 0; head < heads.size(); head++)
        add_shares(sums[head], count, mass.data() + head * count);
    return mass;
}

} // namespace wave
