// Attention of one token by the CUDA kernels, with the weights on the processor: what is stored lies on the
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

namespace repowave {

class CudaAttention final : public wave::DeviceAttention {
  public:
    /// @param cap bytes of device memory that may be taken. Throws CudaProblem for a shape that there are no
    /// kernels for
    CudaAttention(const CudaLibrary& library, size_t cap, const wave::KvShape& shape, int query_heads);

    void forget() override;
    void keep_tail(size_t tokens) override;
    bool attend(const wave::AttentionCall& call) override;
    void settle() override;
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
        Buffer tail;                   ///< [kv_heads][tail_room] slots
        size_t tail_room = 0, tail_tokens = 0;
    };
    /// A chosen cluster.
    struct Choice {
        uint32_t at; ///< into Layer::entries
        uint32_t run, cluster, tokens;
        bool late = false; ///< could not be had
    };

    // cuda_layer.cpp
    void store(Layer& layer, const wave::AttentionCall& call);
    void copy_tail(Layer& layer, const wave::AttentionCall& call);
    std::vector<cuda::Run> runs(const Layer& layer, const wave::AttentionCall& call) const;

    void run(Layer& layer, const wave::AttentionCall& call);
    void prepare(const Layer& layer, const wave::AttentionCall& call);
    void choose(const Layer& layer, const wave::AttentionCall& call);
    void choose_ahead(const Layer& layer, const wave::AttentionCall& call);
    void list_choices(const Layer& layer, const wave::AttentionCall& call, uint32_t head,
                      const uint32_t* bits, std::vector<Choice>& to) const;

    // cuda_fetch.cpp
    void prepare_pages(const wave::AttentionCall& call);
    void fetch(Layer& layer, const wave::AttentionCall& call);
    void fetch_head(Layer& layer, const wave::AttentionCall& call, uint32_t head,
                    const std::vector<Choice*>& missing);
    void read_ahead(Layer& layer, const wave::AttentionCall& call);
    void read_ahead(Layer& layer, const wave::AttentionCall& call, uint32_t head,
                    const std::vector<Choice>& likely);
    void find_pages(uint32_t tokens, const uint32_t* rows, const uint8_t* base);
    void move_pages(uint32_t tokens, size_t first_page, void* to);
    void place();

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
    uint8_t* staging_ =
        nullptr; ///< where the next cluster goes that cannot be read in its place; null: all can

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
