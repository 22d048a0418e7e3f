#include "resident.h"

#include <cstring>

namespace wave {
namespace {

bool held(const Segment& segment, ExactSlots::Layers layers, size_t head) {
    return layers == ExactSlots::kAll || segment.entry(head).fine == 0;
}

bool any_index(const Segment& segment) {
    for (uint32_t layer = 0; layer < segment.shape().layers; layer++)
        if (segment.has_index(layer)) return true;
    return false;
}

} // namespace

size_t ExactSlots::bytes(const Segment& segment, Layers layers) {
    size_t bytes = 0;
    for (size_t head = 0; head < segment.shape().heads(); head++)
        if (held(segment, layers, head)) bytes += segment.slots_bytes();
    return bytes;
}

ExactSlots::ExactSlots(const Segment& segment, Layers layers)
    : tokens_(segment.tokens()), slots_(segment.shape().heads()) {
    const size_t slot = segment.shape().slot_bytes();
    AlignedBytes order, scratch;
    if (layers == kAll && any_index(segment)) {
        order = segment.read_order();
        scratch = aligned_bytes(segment.slots_bytes());
    }
    for (size_t head = 0; head < slots_.size(); head++) {
        if (!held(segment, layers, head)) continue;
        slots_[head] = aligned_bytes(segment.slots_bytes());
        if (segment.entry(head).fine == 0) {
            segment.read_slots(head, slots_[head].get());
            continue;
        }
        segment.read_slots(head, scratch.get());
        const uint16_t* tokens = segment.layout().tokens_of(order.get(), head);
        for (size_t i = 0; i < tokens_; i++)
            std::memcpy(slots_[head].get() + tokens[i] * slot, scratch.get() + i * slot, slot);
    }
}

size_t WaveIndex::bytes(const Segment& segment) {
    const Layout& at = segment.layout();
    size_t clusters = 0;
    for (size_t head = 0; head < segment.shape().heads(); head++) clusters += segment.entry(head).fine;
    return at.data - at.order + clusters * sizeof(uint32_t) +
           ExactSlots::bytes(segment, ExactSlots::kWithoutIndex);
}

WaveIndex::WaveIndex(const Segment& segment, BlockCache& cache)
    : cache_(cache), order_(segment.read_order()), fine_(segment.read_fine()),
      exact_(segment, ExactSlots::kWithoutIndex) {
    const Layout& at = segment.layout();
    std::vector<StoredHead> stored;
    for (size_t head = 0; head < segment.shape().heads(); head++) {
        const TableEntry& entry = segment.entry(head);
        const uint32_t* starts = at.starts_of(order_.get(), head);
        const bool indexed = entry.fine > 0;
        clusters_.push_back({at.fine_of(fine_.get(), entry, head),
                             starts,
                             {},
                             indexed ? at.tokens_of(order_.get(), head) : nullptr});
        stored.push_back(
            {starts, at.checksums_of(order_.get(), head), entry.fine, at.data + head * at.data_stride});
        for (uint32_t i = 0; i < entry.fine; i++)
            pages_ += (starts[i + 1] - starts[i] + kPageSlots - 1) / kPageSlots;
    }
    file_ = std::make_shared<const ClusterFile>(segment.file(), segment.shape(), segment.packed(),
                                                std::move(stored));
    number_ = cache_.add_segment(file_);
}

WaveIndex::~WaveIndex() {
    cache_.remove_segment(number_);
}

} // namespace wave
