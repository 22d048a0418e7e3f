// Attention by the CUDA kernels: what is stored lies on the
// device, as far as a cap leaves room, and below it in the wave buffer.
//
// A layer's exact runs, summaries and tail are copied when they are needed first. A step chooses clusters on
// the device. Those that are not there come from the wave buffer, by the same rules as on the processor: the
// kernels read them where they lie in RAM, if the system lets it be pinned, or else from a copy that is; and
// they move into pages of the device meanwhile, for later steps.
#pragma once

#include "../wave/device.h"
#include "cluster_pages.h"
#include "cuda_copies.h"

#include <map>

namespace repowave {

class CudaAttention final : public wave::DeviceAttention {
  public:
    /// @param cap bytes of device memory that may be taken. Throws CudaProblem for a shape that there are no
    /// kernels for
    CudaAttention(const CudaLibrary& library, size_t cap, const wave::KvShape& shape, int query_heads);

    void change_views() override;
    void keep_tail(size_t tokens) override;
    bool attend(const wave::AttentionCall& call) override;
    void settle() override;
    bool append(uint32_t layer, const wave::KvRun* before, size_t tokens, const void* k, const void* v,
                size_t stride) override;
    void read_tail(uint32_t layer, size_t first, size_t end, wave::KvTail& to) override;
    std::vector<uint32_t> nearest(uint32_t layer, const wave::KvRun* runs) override; // cuda_index.cpp
    const wave::DeviceCounters& counters() const override { return counters_; }
    size_t bytes() const override { return memory_.used(); }
    const std::string& failure() const override { return failure_; }

  private:
    /// What a layer has on the device of one segment, or of the background.
    struct Part {
        struct Head {
            const uint8_t *slots = nullptr, *keys = nullptr, *values = nullptr;
            const float* sizes = nullptr;
            uint32_t first = 0; ///< its first cluster in places and entries
        };
        Buffer memory;
        std::vector<Head> heads;       ///< [kv_heads]
        cuda::Place* places = nullptr; ///< of all clusters that can be retrieved
        std::vector<uint32_t> entries; ///< the same as ClusterPages has them
    };
    /// Of a tile of fine summaries: its run, its first cluster there, and where its part tells of that one.
    struct Origin {
        Part* part;
        uint32_t at, run, first;
    };
    struct Layer {
        bool ready = false, refused = false;
        std::map<uint64_t, Part> parts; ///< by what they are copies of, see wave::new_identity
        Buffer table;                   ///< tiles [kv_heads][tile_count]
        std::vector<cuda::Run> exact;   ///< [kv_heads][exact_count], without windows
        int tile_count = 0;
        size_t cluster_pages = 0, largest_cluster = 0; ///< in pages: all clusters of a head, and one
        std::vector<Origin> origins;                   ///< [kv_heads][tile_count]
        Buffer tail; ///< [kv_heads][tail_room] slots, and where each head's begin
        size_t tail_room = 0, tail_tokens = 0;
    };
    /// A chosen cluster.
    struct Choice {
        uint32_t* entry;
        cuda::Place* place;
        uint32_t run, cluster, tokens;
        bool late = false; ///< could not be had
        bool absent() const { return *entry == ClusterPages::kAbsent; }
    };

    // cuda_layer.cpp
    void store(Layer& layer, const wave::AttentionCall& call);
    void store_slots(Layer& layer, const wave::AttentionCall& call, size_t number);
    template <class Of> void store_summaries(Layer& layer, uint64_t id, Of of);
    void store(void* to, const void* from, size_t bytes);
    void list_tiles(Layer& layer, const wave::AttentionCall& call);
    bool drop_unseen(Layer& layer, const std::set<uint64_t>& seen);
    bool drop_old(const std::set<uint64_t>& seen);
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
    void choose_ahead(const Layer& layer, const wave::AttentionCall& call);
    void list_choices(const Layer& layer, const wave::AttentionCall& call, uint32_t head,
                      const uint32_t* bits, std::vector<Choice>& to) const;

    // cuda_fetch.cpp
    void prepare_pages(const wave::AttentionCall& call);
    void fetch(const wave::AttentionCall& call);
    void fetch_head(const wave::AttentionCall& call, uint32_t head, const std::vector<Choice*>& missing);
    void read_ahead(const Layer& layer, const wave::AttentionCall& call);
    void read_ahead(const wave::AttentionCall& call, uint32_t head, const std::vector<Choice>& likely);
    void find_pages(uint32_t tokens, const uint32_t* rows, const uint8_t* base);
    void move_pages(uint32_t tokens, size_t first_page, void* to);
    void place();

    void read_out(const wave::AttentionCall& call);
    template <class Visit>
    void each_page_run(const wave::AttentionCall& call, uint32_t head, Visit visit) const;
    void account(const wave::AttentionCall& call);
    void record(const wave::AttentionCall& call, uint32_t head, float* zones, size_t steady, size_t retrieved,
                size_t late) const;

    Buffer room(size_t bytes);
    void reserve(Buffer& buffer, size_t bytes, CudaMemory::Kind kind);
    void copy(void* to, const void* from, size_t bytes) {
        if (bytes) memory_.library().check(memory_.library().copy(to, from, bytes, nullptr));
    }
    void wait() { memory_.library().check(memory_.library().wait(nullptr)); }
    /// Of out, lse and coarse, in this order; reports follow.
    size_t told_bytes() const { return query_heads_ * (shape_.dk + 2) * sizeof(float); }
    size_t report_bytes() const { return shape_.kv_heads * sizeof(cuda::HeadReport); }
    void check_reports() const;
    uint32_t group() const { return query_heads_ / shape_.kv_heads; }
    /// Of a window: the first token of a run that is seen.
    static size_t first_seen(const wave::AttentionCall& call, int64_t position, size_t tokens);

    wave::KvShape shape_;
    uint32_t query_heads_;
    CudaMemory memory_;
    ClusterPages pages_;
    std::vector<Layer> layers_;
    std::set<uint64_t> seen_; ///< what the layer sees that was stored last
    CudaCopies copies_;
    std::shared_ptr<wave::Pins> pins_;
    std::vector<std::vector<Choice>> choices_; ///< [kv_heads] in the order of the clusters
    wave::BlockCache::Acquired acquired_;

    /// A cluster that this step reads in memory of the host.
    struct Fetched {
        cuda::Place* place;
        size_t first_page; ///< in addresses_
        void* page;        ///< of the device, where later steps find it; null: there is no room
    };
    bool ahead_ = false; ///< whether host_likely_ tells what may be wanted next
    Placings placings_;  ///< to be done before pages are listed again
    std::vector<Fetched> fetched_;
    std::vector<const void*> addresses_; ///< of their pages
    std::vector<cuda::Move> moves_;
    uint8_t* staging_ = nullptr; ///< where the next cluster is copied to; null: it is read in its place

    // Of the step under way. What begins with host is pinned.
    cuda::Plan plan_{};
    cuda::Step step_{};
    std::vector<cuda::Run> runs_;
    Buffer given_, told_, bits_, likely_, list_, mass_, workspace_, lists_;
    Buffer host_given_, host_told_, host_bits_, host_likely_, host_mass_, host_lists_, host_placings_;

    wave::DeviceCounters counters_;
    std::string failure_;
};

} // namespace repowave
