// Attention of one token by the CUDA kernels, with the weights on the processor: what is stored lies on the
// device, as far as a cap leaves room, and below it in the wave buffer.
//
// A layer's exact runs, summaries and tail are copied when they are needed first. A step chooses clusters on
// the device; those that are not there come from the wave buffer, by the same rules as on the processor, and
// move into pages of the device; then the step attends.
#pragma once

#include "../wave/device.h"
#include "cluster_pages.h"

namespace repowave {

class CudaAttention final : public wave::DeviceAttention {
  public:
    /// @param cap bytes of device memory that may be taken. Throws CudaProblem for a shape that there are no
    /// kernels for
    CudaAttention(const CudaLibrary& library, size_t cap, const wave::KvShape& shape, int query_heads);

    void forget() override;
    void keep_tail(size_t tokens) override;
    bool attend(const wave::AttentionCall& call) override;
    bool append(uint32_t layer, const wave::KvRun* before, size_t tokens, const void* k, const void* v,
                size_t stride) override;
    void read_tail(uint32_t layer, size_t first, size_t end, wave::KvTail& to) override;
    std::vector<uint32_t> nearest(uint32_t layer, const wave::KvRun* runs) override; // cuda_index.cpp
    const wave::DeviceCounters& counters() const override { return counters_; }
    size_t bytes() const override { return memory_.used(); }
    const std::string& failure() const override { return failure_; }

  private:
    /// Of a tile of fine summaries: its run, and its first cluster there.
    struct Origin {
        uint32_t run, first;
    };
    /// What a layer has on the device.
    struct Layer {
        bool ready = false, refused = false;
        Buffer stored;
        std::vector<cuda::Run> exact;  ///< [kv_heads][exact_count], without windows
        cuda::Tile* tiles = nullptr;   ///< [kv_heads][tile_count]
        cuda::Place* places = nullptr; ///< [kv_heads][tile_count][32]
        int tile_count = 0;
        size_t cluster_pages = 0, largest_cluster = 0; ///< in pages: all clusters of a head, and one
        std::vector<Origin> origins;                   ///< [kv_heads][tile_count]
        std::vector<uint32_t> entries; ///< [kv_heads][tile_count][32] as ClusterPages has them
        Buffer tail;                   ///< [kv_heads][tail_room] slots, and where each head's begin
        size_t tail_room = 0, tail_tokens = 0;
    };
    /// A chosen cluster.
    struct Choice {
        uint32_t at; ///< into Layer::entries
        uint32_t run, cluster, tokens;
    };

    // cuda_layer.cpp
    void store(Layer& layer, const wave::AttentionCall& call);
    void grow_tail(Layer& layer, size_t tokens);
    void copy_tail(Layer& layer, const wave::KvRun* tail);
    size_t tail_at(const Layer& layer, uint32_t head, size_t token) const {
        return (head * layer.tail_room + token) * shape_.slot_bytes();
    }
    std::vector<cuda::Run> runs(const Layer& layer, const wave::AttentionCall& call) const;

    // cuda_prefill.cpp
    static bool can_pass(const wave::AttentionCall& call);
    void run_pass(Layer& layer, const wave::AttentionCall& call);
    std::vector<cuda::Span> spans(const Layer& layer, const wave::AttentionCall& call) const;
    template <class Visit> void each_row(const wave::AttentionCall& call, Visit visit) const;
    // cuda_index.cpp
    void run_clustering(Layer& layer, const wave::KvRun* runs, std::vector<uint32_t>& result);

    /// @returns false when it could not be done; the processor does it then
    template <class Work> bool attempt(Work work) {
        if (!failure_.empty()) return false;
        try {
            work();
        } catch (const NoDeviceRoom&) {
            return counters_.refused++, false;
        } catch (const CudaProblem& problem) {
            failure_ = problem.what();
            return false;
        } catch (...) {
            failure_ = "stopped in the middle of a step";
            throw;
        }
        return true;
    }
    void make_ready(Layer& layer, const wave::AttentionCall& call);
    void run(Layer& layer, const wave::AttentionCall& call);
    void prepare(const Layer& layer, const wave::AttentionCall& call);
    void choose(const Layer& layer, const wave::AttentionCall& call);
    /// Brings what is chosen and not there. Throws NoDeviceRoom when not all of it can be there at once.
    void fetch(Layer& layer, const wave::AttentionCall& call);
    void fetch_head(Layer& layer, const wave::AttentionCall& call, uint32_t head,
                    const std::vector<const Choice*>& missing, bool& room);
    void move_clusters();
    void read_out(const Layer& layer, const wave::AttentionCall& call);
    template <class Visit>
    void each_page_run(const Layer& layer, const wave::AttentionCall& call, uint32_t head, Visit visit) const;
    void account(const Layer& layer, const wave::AttentionCall& call);
    void record(const wave::AttentionCall& call, uint32_t head, float* zones, size_t steady, size_t retrieved,
                size_t late) const;

    Buffer room(size_t bytes);
    void reserve(Buffer& buffer, size_t bytes, CudaMemory::Kind kind);
    void copy(void* to, const void* from, size_t bytes) {
        if (bytes) memory_.library().check(memory_.library().copy(to, from, bytes, nullptr));
    }
    void wait() { memory_.library().check(memory_.library().wait(nullptr)); }
    /// Of out, lse and coarse, in this order.
    size_t told_bytes() const { return query_heads_ * (shape_.dk + 2) * sizeof(float); }
    uint32_t group() const { return query_heads_ / shape_.kv_heads; }
    /// Of a window: the first token of a run that is seen.
    static size_t first_seen(const wave::AttentionCall& call, int64_t position, size_t tokens);

    wave::KvShape shape_;
    uint32_t query_heads_;
    CudaMemory memory_;
    ClusterPages pages_;
    std::vector<Layer> layers_;
    std::vector<cuda::Move> moves_;            ///< to be done before pages are listed again
    std::vector<std::vector<Choice>> choices_; ///< [kv_heads] in the order of the clusters
    wave::BlockCache::Acquired acquired_;
    size_t staged_ = 0; ///< bytes

    // Of the step under way. What begins with host is pinned.
    cuda::Plan plan_{};
    cuda::Step step_{};
    std::vector<cuda::Run> runs_;
    Buffer given_, told_, bits_, list_, mass_, workspace_;
    Buffer host_given_, host_told_, host_bits_, host_mass_, staging_, host_moves_;

    wave::DeviceCounters counters_;
    std::string failure_;
};

} // namespace repowave
