// What a step has come to, from the device to where the processor's own attention would have put it.
#include "cuda_attention.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace repowave {

using cuda::kPageTokens;
using wave::AttentionCall;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
/// In the place of a slot: one of the tail, of which nobody keeps account.
constexpr size_t kTail = SIZE_MAX;

void CudaAttention::read_out(const AttentionCall& call) {
    const size_t row = shape_.dk * sizeof(float);
    const size_t from = call.on_device ? query_heads_ * row : 0;
    copy(host_told_.as<void>(from), told_.as<void>(from), told_bytes() + report_bytes() - from);
    for (uint32_t head = 0; step_.mass && head < shape_.kv_heads; head++) {
        size_t pages = 0;
        each_page_run(call, head, [&](size_t, size_t tokens, bool) { pages += pages_for(tokens); });
        const size_t first = static_cast<size_t>(head) * plan_.max_pages * kPageTokens;
        copy(host_mass_.as<float>() + first, step_.mass + first, pages * kPageTokens * sizeof(float));
    }
    wait();
    check_reports();
    for (uint32_t head = 0; !call.on_device && head < query_heads_; head++)
        std::memcpy(call.out + head * call.out_head_stride, host_told_.as<uint8_t>(head * row), row);
}

/// The mapping table is the device's, the entries are the host's: they must say the same.
void CudaAttention::check_reports() const {
    for (uint32_t head = 0; head < shape_.kv_heads; head++) {
        const auto& report = host_told_.as<cuda::HeadReport>(told_bytes())[head];
        const auto late = static_cast<size_t>(std::count_if(choices_[head].begin(), choices_[head].end(),
                                                            [](const Choice& one) { return one.late; }));
        if (report.overflow || report.chosen != choices_[head].size() || report.late != late)
            throw CudaProblem("the device has attended to other clusters than it was told to");
    }
}

/// visit(slot among the layer's exact and wave runs, tokens, whether retrieved) for what the list of pages
/// holds, in its order; of the tail the slot is kTail.
template <class Visit>
void CudaAttention::each_page_run(const AttentionCall& call, uint32_t head, Visit visit) const {
    size_t slot = 0;
    for (int run = 0; run < plan_.runs; run++) {
        const cuda::Run& listed = runs_[head * plan_.runs + run];
        const bool tail = run + 1 == plan_.runs, hidden = listed.bias == -kInfinity;
        const size_t tokens = tail ? 0 : call.exact[head * call.exact_count + run].tokens;
        // A window leaves the end of a run.
        if (!hidden) visit(tail ? kTail : slot + tokens - listed.tokens, listed.tokens, false);
        slot += tokens;
    }
    uint32_t run = 0;
    for (const Choice& choice : choices_[head]) {
        const wave::WaveRun* runs = call.wave + head * call.wave_count;
        for (; run < choice.run; run++) slot += runs[run].run.tokens;
        if (!choice.late) visit(slot + runs[run].clusters.starts[choice.cluster], choice.tokens, true);
    }
}

void CudaAttention::account(const AttentionCall& call) {
    size_t steady = call.tail[0].tokens, slots = 0;
    for (size_t run = 0; run < call.exact_count; run++) slots += call.exact[run].tokens;
    steady += slots;
    for (size_t run = 0; run < call.wave_count; run++) slots += call.wave[run].run.tokens;
    const float each = 1.0f / static_cast<float>(group());
    for (uint32_t head = 0; head < shape_.kv_heads; head++) {
        const float* from =
            host_mass_.as<float>() + static_cast<size_t>(head) * plan_.max_pages * kPageTokens;
        float zones[wave::kZones] = {};
        size_t retrieved = 0, late = choices_[head].size();
        each_page_run(call, head, [&](size_t slot, size_t tokens, bool chosen) {
            float sum = 0;
            for (size_t t = 0; t < tokens; t++) {
                sum += from[t];
                if (call.mass && slot != kTail) call.mass[head * slots + slot + t] += from[t];
            }
            zones[chosen ? wave::kRetrieved : wave::kSteady] += sum * each;
            if (chosen) retrieved += tokens, late--;
            from += pages_for(tokens) * kPageTokens;
        });
        if (call.records) record(call, head, zones, steady, retrieved, late);
    }
}

void CudaAttention::record(const AttentionCall& call, uint32_t head, float* zones, size_t steady,
                           size_t retrieved, size_t late) const {
    const float *lse = host_told_.as<float>(query_heads_ * shape_.dk * sizeof(float)),
                *coarse = lse + query_heads_;
    for (uint32_t row = head * group(); row < (head + 1) * group(); row++) {
        zones[wave::kCoarse] += coarse[row] / static_cast<float>(group());
        if (call.sinks)
            zones[wave::kSteady] += std::exp(call.sinks[row] - lse[row]) / static_cast<float>(group());
    }
    if (call.wave_count > 0 && call.estimate)
        zones[wave::kEstimated] =
            std::max(0.0f, 1 - zones[wave::kSteady] - zones[wave::kRetrieved] - zones[wave::kCoarse]);
    size_t fine = 0, background = 0;
    for (size_t i = 0; i < call.wave_count; i++) {
        const wave::WaveRun& run = call.wave[head * call.wave_count + i];
        if (run.run.bias != -kInfinity) fine += run.clusters.fine.count;
    }
    for (size_t i = 0; i < call.background_count; i++) {
        const wave::CoarseRun& run = call.background[head * call.background_count + i];
        if (run.bias != -kInfinity) background += run.summaries.count;
    }
    wave::HeadRecord& to = call.records[head];
    to = {};
    std::copy_n(zones, static_cast<int>(wave::kZones), to.zones);
    to.retrieved_tokens = static_cast<uint32_t>(retrieved);
    to.retrieved_clusters = static_cast<uint32_t>(choices_[head].size() - late);
    to.late_clusters = static_cast<uint32_t>(late);
    to.bytes = (steady + retrieved + background) * shape_.slot_bytes() +
               fine * (shape_.key_bytes() + (call.estimate ? shape_.value_bytes() : 0));
}

} // namespace repowave
