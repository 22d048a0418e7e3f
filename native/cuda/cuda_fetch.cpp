// Chosen clusters that are not on the device: where this step reads them, and how they come there for later
// ones.
#include "cuda_attention.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace repowave {

using cuda::kPageTokens;
using wave::AttentionCall;

// A page of the buffer in RAM is one of the list of pages.
static_assert(wave::kPageSlots == cuda::kPageTokens);

void CudaAttention::prepare_pages(const AttentionCall& call) {
    const size_t pages = static_cast<size_t>(shape_.kv_heads) * plan_.max_pages;
    reserve(list_, pages * sizeof(cuda::Run), CudaMemory::kDevice);
    step_.pages = list_.as<cuda::Run>();
    if (!call.mass && !call.records) return;
    reserve(mass_, pages * kPageTokens * sizeof(float), CudaMemory::kDevice);
    reserve(host_mass_, pages * kPageTokens * sizeof(float), CudaMemory::kPinned);
    step_.mass = mass_.as<float>();
}

void CudaAttention::fetch(const AttentionCall& call) {
    prepare_pages(call);
    fetched_.clear(), addresses_.clear(), moves_.clear();
    size_t tokens = 0, pages = 0;
    for (const auto& choices : choices_)
        for (const Choice& choice : choices)
            if (choice.absent())
                tokens += choice.tokens, pages += pages_for(choice.tokens);
            else
                counters_.hits++, counters_.foreseen += pages_.use(*choice.entry);
    // Before anything is promised a page.
    reserve(lists_, pages * sizeof(void*), CudaMemory::kDevice);
    reserve(host_lists_, pages * sizeof(void*), CudaMemory::kPinned);
    if (pages > 0) {
        copies_.hold(*call.cache);
        staging_ = call.cache->pinned() ? nullptr : copies_.stage(tokens * shape_.slot_bytes());
    }
    std::vector<Choice*> missing;
    for (uint32_t head = 0; head < shape_.kv_heads; head++) {
        missing.clear();
        for (Choice& choice : choices_[head])
            if (choice.absent()) missing.push_back(&choice);
        if (!missing.empty()) fetch_head(call, head, missing);
    }
    place();
    copies_.start(moves_);
    counters_.evicted = pages_.evicted();
}

void CudaAttention::fetch_head(const AttentionCall& call, uint32_t head,
                               const std::vector<Choice*>& missing) {
    std::vector<wave::ClusterRef> wanted;
    for (const Choice* choice : missing)
        wanted.push_back({call.wave[head * call.wave_count + choice->run].number, choice->cluster});
    call.cache->acquire(copies_.hold(*call.cache), call.first_head + head, wanted.data(), wanted.size(),
                        call.wait, acquired_);
    counters_.misses += missing.size();
    const uint32_t* rows = acquired_.rows.data();
    auto late = acquired_.missing.begin();
    for (size_t i = 0; i < missing.size(); i++) {
        Choice& choice = *missing[i];
        if (late != acquired_.missing.end() && *late == i) {
            choice.late = true;
            late++;
            continue;
        }
        const uint32_t* const own = rows;
        rows += choice.tokens;
        if (!choice.absent()) continue; // its segment is shown twice: it has been found
        const size_t first_page = addresses_.size();
        find_pages(choice.tokens, own, call.cache->rows());
        void* page = nullptr;
        if (pages_.admit(choice.tokens, {choice.entry, choice.place}, placings_)) {
            page = pages_.address(*choice.entry);
            move_pages(choice.tokens, first_page, page);
        }
        fetched_.push_back({choice.place, first_page, page});
        counters_.staged += staging_ != nullptr;
    }
}

/// Clusters that were ranked right below the choice come to the device while nothing else is on the bus, and
/// in the place of none that the last two tokens used. Those that are not in RAM either are read from the
/// disk.
void CudaAttention::read_ahead(const Layer& layer, const AttentionCall& call) {
    if (!ahead_ || !copies_.idle()) return;
    addresses_.clear(), moves_.clear();
    std::vector<std::vector<Choice>> likely(shape_.kv_heads);
    size_t tokens = 0;
    for (uint32_t head = 0; head < shape_.kv_heads; head++) {
        list_choices(layer, call, head, host_likely_.as<uint32_t>() + head * layer.tile_count, likely[head]);
        std::erase_if(likely[head], [](const Choice& one) { return !one.absent(); });
        for (const Choice& one : likely[head]) tokens += one.tokens;
    }
    if (tokens == 0) return;
    copies_.hold(*call.cache);
    staging_ = call.cache->pinned() ? nullptr : copies_.stage(tokens * shape_.slot_bytes());
    for (uint32_t head = 0; head < shape_.kv_heads; head++)
        if (!likely[head].empty()) read_ahead(call, head, likely[head]);
    copies_.start(moves_);
}

void CudaAttention::read_ahead(const AttentionCall& call, uint32_t head, const std::vector<Choice>& likely) {
    std::vector<wave::ClusterRef> wanted;
    for (const Choice& one : likely)
        wanted.push_back({call.wave[head * call.wave_count + one.run].number, one.cluster});
    call.cache->foresee(copies_.hold(*call.cache), call.first_head + head, wanted.data(), wanted.size(),
                        acquired_);
    const uint32_t* rows = acquired_.rows.data();
    auto missing = acquired_.missing.begin();
    for (size_t i = 0; i < likely.size(); i++) {
        if (missing != acquired_.missing.end() && *missing == i) {
            missing++;
            continue;
        }
        const Choice& one = likely[i];
        const uint32_t* const own = rows;
        rows += one.tokens;
        if (!one.absent()) continue; // as above
        if (!pages_.admit_ahead(one.tokens, {one.entry, one.place}, placings_, 2 * shape_.layers)) return;
        const size_t first_page = addresses_.size();
        find_pages(one.tokens, own, call.cache->rows());
        move_pages(one.tokens, first_page, pages_.address(*one.entry));
        put(placings_, {one.place, pages_.address(*one.entry), 0});
        counters_.prefetched++;
    }
}

/// Adds the addresses of a cluster's pages: where they lie, or where they have been copied to.
void CudaAttention::find_pages(uint32_t tokens, const uint32_t* rows, const uint8_t* base) {
    const size_t slot = shape_.slot_bytes();
    for (uint32_t first = 0; first < tokens; first += kPageTokens) {
        const uint8_t* page = base + rows[first] * slot;
        if (staging_) {
            const size_t bytes = std::min<size_t>(kPageTokens, tokens - first) * slot;
            std::memcpy(staging_, page, bytes);
            page = std::exchange(staging_, staging_ + bytes);
        }
        addresses_.push_back(page);
    }
}

/// Neighbours at once.
void CudaAttention::move_pages(uint32_t tokens, size_t first_page, void* to) {
    const size_t slot = shape_.slot_bytes();
    const uint8_t* end = nullptr;
    for (uint32_t first = 0; first < tokens; first += kPageTokens) {
        const auto* const from = static_cast<const uint8_t*>(addresses_[first_page + first / kPageTokens]);
        const uint32_t own = std::min<uint32_t>(kPageTokens, tokens - first);
        if (from == end)
            moves_.back().tokens += own;
        else
            moves_.push_back({from, static_cast<uint8_t*>(to) + first * slot, own});
        end = from + own * slot;
    }
}

/// The mapping table is now what the last steps left to be done, and this one's clusters lie in the host's
/// memory. What is left to be done after it: they are in their pages, or nowhere.
void CudaAttention::place() {
    if (placings_.empty() && fetched_.empty()) return;
    const size_t lists = addresses_.size() * sizeof(void*);
    if (lists > 0) std::memcpy(host_lists_.as<void>(), addresses_.data(), lists);
    copy(lists_.as<void>(), host_lists_.as<void>(), lists);
    for (const Fetched& one : fetched_)
        put(placings_, {one.place, lists_.as<void>(one.first_page * sizeof(void*)), 1});
    reserve(host_placings_, placings_.size() * sizeof(cuda::Placing), CudaMemory::kPinned);
    auto* to = host_placings_.as<cuda::Placing>();
    for (const auto& [place, placing] : placings_) *to++ = placing;
    const CudaLibrary& library = memory_.library();
    library.check(
        library.place(host_placings_.as<cuda::Placing>(), static_cast<int>(placings_.size()), nullptr));
    placings_.clear();
    for (const Fetched& one : fetched_) put(placings_, {one.place, one.page, 0});
}

} // namespace repowave
