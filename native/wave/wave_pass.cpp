#include "wave_pass.h"

#include <algorithm>
#include <limits>
#include <numeric>

namespace wave {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

void WavePass::begin(const WaveRun* runs, size_t count, int rows) {
    runs_ = runs, rows_ = rows;
    sizes_.clear();
    first_cluster_.assign(1, 0);
    first_slot_.clear();
    tokens_ = 0;
    for (size_t i = 0; i < count; i++) {
        const Clusters& clusters = runs[i].clusters;
        // A hidden run has no clusters here: not even an infinite or undefined number of it may count.
        const uint32_t count_here = runs[i].run.bias == -kInfinity ? 0 : clusters.fine.count;
        sizes_.push_back({clusters.starts, count_here});
        first_cluster_.push_back(first_cluster_.back() + count_here);
        first_slot_.push_back(tokens_);
        tokens_ += runs[i].run.tokens;
    }
    const size_t clusters = first_cluster_.back();
    ranks_.resize(clusters);
    logits_.resize(clusters * rows);
    m_.resize(rows);
    l_.resize(rows);
}

/// visit(run, first cluster in the run, end in the run, number of the first over all runs)
template <class Visit> void WavePass::each_run(size_t begin, size_t end, Visit visit) const {
    for (size_t run = 0; run < sizes_.size(); run++) {
        const size_t from = std::max(begin, first_cluster_[run]), to = std::min(end, first_cluster_[run + 1]);
        if (from < to) visit(run, from - first_cluster_[run], to - first_cluster_[run], from);
    }
}

void WavePass::score(const Rows& rows, size_t begin, size_t end, float* scratch) {
    each_run(begin, end, [&](size_t run, size_t from, size_t to, size_t first) {
        ScoreBlock block{};
        block.q = rows.q, block.rows = rows.count, block.dk = static_cast<int>(shape_.dk);
        block.type = shape_.type, block.soft_cap = rows.soft_cap;
        block.k = static_cast<const uint8_t*>(runs_[run].clusters.fine.keys) + from * shape_.key_bytes();
        block.k_stride = shape_.dk;
        block.keys = static_cast<int>(to - from);
        block.logits = logits_.data() + first, block.stride = clusters(), block.scratch = scratch;
        kernels().score(block);
    });
}

WeighBlock WavePass::weigh_block(int rows, float* m, float* l, float* o, float* scratch) const {
    WeighBlock block{};
    block.stride = clusters(), block.rows = rows, block.type = shape_.type;
    block.m = m, block.l = l, block.o = o, block.scratch = scratch;
    return block;
}

/// The rank of a cluster is the mass that the estimation gives it among all clusters, summed over the rows:
/// of the measures tried it was level with the paper's, which leaves the sizes out, at equal reading.
void WavePass::select(size_t budget, const Retrieval& from, float* scratch) {
    std::fill(ranks_.begin(), ranks_.end(), 0.0f);
    std::fill(m_.begin(), m_.end(), -kInfinity);
    std::fill(l_.begin(), l_.end(), 0.0f);
    each_run(0, clusters(), [&](size_t run, size_t from, size_t to, size_t first) {
        WeighBlock block = weigh_block(rows_, m_.data(), l_.data(), nullptr, scratch);
        block.logits = logits_.data() + first, block.keys = static_cast<int>(to - from);
        block.biases = runs_[run].clusters.fine.log_sizes, block.bias = runs_[run].run.bias;
        kernels().weigh(block);
    });
    each_run(0, clusters(), [&](size_t run, size_t from, size_t to, size_t first) {
        for (int r = 0; r < rows_; r++)
            kernels().add_mass(logits_.data() + r * clusters() + first, runs_[run].clusters.fine.log_sizes,
                               m_[r] - runs_[run].run.bias, l_[r], ranks_.data() + first, to - from);
    });
    const std::vector<uint32_t>& chosen = best(budget, chosen_);
    step_ = std::make_unique<BlockCache::Step>(*from.cache);
    rows_base_ = from.cache->rows();
    from.cache->acquire(*step_, from.head, chosen_.data(), chosen_.size(), from.wait, acquired_);
    book(chosen);
}

const std::vector<uint32_t>& WavePass::best(size_t budget, std::vector<ClusterRef>& refs) {
    const std::vector<uint32_t>& clusters = selection_.choose(ranks_.data(), sizes_, budget);
    refs.clear();
    size_t run = 0;
    for (const uint32_t cluster : clusters) {
        while (cluster >= first_cluster_[run + 1]) run++;
        refs.push_back({runs_[run].number, static_cast<uint32_t>(cluster - first_cluster_[run])});
    }
    return clusters;
}

/// Clusters that are there are not estimated, and their tokens are in slots_ in the order of acquired_.rows.
void WavePass::book(const std::vector<uint32_t>& chosen) {
    slots_.clear();
    parts_.clear();
    size_t run = 0;
    auto missing = acquired_.missing.begin();
    for (size_t i = 0; i < chosen.size(); i++) {
        const uint32_t cluster = chosen[i];
        if (missing != acquired_.missing.end() && *missing == i) {
            missing++;
            continue;
        }
        while (cluster >= first_cluster_[run + 1]) run++;
        const size_t c = cluster - first_cluster_[run], begin = slots_.size();
        for (uint32_t slot = sizes_[run].starts[c]; slot < sizes_[run].starts[c + 1]; slot++)
            slots_.push_back(slot);
        if (parts_.empty() || parts_.back().run != run) parts_.push_back({run, begin, begin});
        parts_.back().end = slots_.size();
        for (int r = 0; r < rows_; r++) logits_[r * clusters() + cluster] = -kInfinity;
    }
}

void WavePass::attend_retrieved(size_t part, size_t parts, AttendBlock block) const {
    const size_t from = slots_.size() * part / parts, to = slots_.size() * (part + 1) / parts;
    float* const logits = block.logits;
    block.k = rows_base_, block.v = rows_base_ + shape_.key_bytes();
    for (const Part& each : parts_) {
        const size_t begin = std::max(from, each.begin), end = std::min(to, each.end);
        if (begin >= end) continue;
        block.bias = runs_[each.run].run.bias;
        block.index = acquired_.rows.data() + begin;
        block.keys = static_cast<int>(end - begin);
        block.first_visible = block.keys, block.first_key = kNoWindow;
        block.logits = logits ? logits + begin : nullptr;
        kernels().attend(block);
    }
}

void WavePass::estimate(size_t begin, size_t end, int rows, float* m, float* l, float* o,
                        float* scratch) const {
    each_run(begin, end, [&](size_t run, size_t from, size_t to, size_t first) {
        const Summaries& fine = runs_[run].clusters.fine;
        WeighBlock block = weigh_block(rows, m, l, o, scratch);
        block.logits = logits_.data() + first, block.keys = static_cast<int>(to - from);
        block.biases = fine.log_sizes + from, block.bias = runs_[run].run.bias;
        block.v = static_cast<const uint8_t*>(fine.values) + from * shape_.value_bytes();
        block.dv = static_cast<int>(shape_.dv);
        kernels().weigh(block);
    });
}

void WavePass::add_retrieved_mass(const float* logits, float m, float l, float* mass) {
    temporary_.assign(slots_.size(), 0.0f);
    kernels().add_mass(logits, nullptr, m, l, temporary_.data(), temporary_.size());
    for (const Part& part : parts_)
        for (size_t i = part.begin; i < part.end; i++)
            mass[first_slot_[part.run] + slots_[i]] += temporary_[i];
}

std::optional<Sample> WavePass::sample(const Rows& rows, uint32_t head, float* scratch) {
    std::vector<float> logits(static_cast<size_t>(rows.count) * tokens_), mass(tokens_),
        m(rows.count, -kInfinity), l(rows.count);
    WeighBlock weigh{};
    weigh.stride = tokens_, weigh.rows = rows.count, weigh.type = shape_.type;
    weigh.m = m.data(), weigh.l = l.data(), weigh.scratch = scratch;
    size_t longest = 0;
    for (size_t run = 0; run < sizes_.size(); run++) longest = std::max(longest, runs_[run].run.tokens);
    const AlignedBytes slots = aligned_bytes(longest * shape_.slot_bytes());
    for (size_t run = 0; run < sizes_.size(); run++) {
        if (sizes_[run].count == 0) continue;
        if (!runs_[run].file->read_all(head, slots.get())) return std::nullopt;
        ScoreBlock score{};
        score.q = rows.q, score.rows = rows.count, score.dk = static_cast<int>(shape_.dk);
        score.type = shape_.type, score.soft_cap = rows.soft_cap, score.k = slots.get();
        score.k_stride = shape_.slot_elements();
        score.keys = static_cast<int>(runs_[run].run.tokens);
        score.logits = logits.data() + first_slot_[run], score.stride = tokens_, score.scratch = scratch;
        kernels().score(score);
        weigh.logits = score.logits, weigh.keys = score.keys, weigh.bias = runs_[run].run.bias;
        kernels().weigh(weigh);
    }
    for (size_t run = 0; run < sizes_.size(); run++) {
        if (sizes_[run].count == 0) continue;
        for (int r = 0; r < rows.count; r++)
            kernels().add_mass(logits.data() + r * tokens_ + first_slot_[run], nullptr,
                               m[r] - runs_[run].run.bias, l[r], mass.data() + first_slot_[run],
                               runs_[run].run.tokens);
    }

    std::vector<bool> retrieved(tokens_);
    double captured = 0;
    for (const Part& part : parts_)
        for (size_t i = part.begin; i < part.end; i++) {
            retrieved[first_slot_[part.run] + slots_[i]] = true;
            captured += mass[first_slot_[part.run] + slots_[i]];
        }
    std::vector<uint32_t> best(tokens_);
    std::iota(best.begin(), best.end(), 0u);
    const size_t top = std::min<size_t>(100, tokens_);
    std::nth_element(best.begin(), best.begin() + static_cast<ptrdiff_t>(top ? top - 1 : 0), best.end(),
                     [&](uint32_t a, uint32_t b) { return mass[a] > mass[b]; });
    const auto hits = std::count_if(best.begin(), best.begin() + static_cast<ptrdiff_t>(top),
                                    [&](uint32_t slot) { return retrieved[slot]; });
    return Sample{static_cast<float>(hits) / static_cast<float>(std::max<size_t>(1, top)),
                  static_cast<float>(captured / rows.count)};
}

} // namespace wave
