// Layers whose tensors lie in a GPU's memory: K and V go from there to the device that attends, and come to
// the host's when the processor needs them.
#include "session.h"

#include <ggml-backend.h>

namespace repowave {

void Session::store_shared(const ggml_tensor* rows, uint32_t layer, Role role) {
    if (role == Role::store_keys) {
        keys_ = rows;
        return;
    }
    const size_t before = tail_.tokens();
    const bool alike = batch_tokens_ == 1 || keys_->nb[1] == rows->nb[1];
    // Where the device is behind it is given what the host has.
    for (uint32_t head = 0; head < shape_.kv_heads; head++) tail_runs_[head] = tail_.run(layer, head, before);
    if (device_ && alike &&
        device_->append(layer, tail_runs_.data(), batch_tokens_, keys_->data, rows->data, rows->nb[1]))
        return;
    bring_tail(layer, before);
    const uint8_t *k = on_host(keys_, host_k_), *v = on_host(rows, host_v_);
    for (uint32_t head = 0; head < shape_.kv_heads; head++) {
        write_rows(keys_, k, layer, Role::store_keys, head);
        write_rows(rows, v, layer, Role::store_values, head);
    }
    host_tail_[layer] = before + batch_tokens_;
}

/// Sees to it that tail_ has the first tokens of a layer.
void Session::bring_tail(uint32_t layer, size_t tokens) {
    if (!shared_ || host_tail_[layer] >= tokens) return;
    device_->read_tail(layer, host_tail_[layer], tokens, tail_);
    host_tail_[layer] = tokens;
    if (batch_tokens_ == 1) through_host_++;
}

/// What a tensor holds, where the processor can read it. Strides stay.
const uint8_t* Session::on_host(const ggml_tensor* tensor, std::vector<uint8_t>& memory) {
    if (!shared_) return static_cast<const uint8_t*>(tensor->data);
    memory.resize(ggml_nbytes(tensor));
    ggml_backend_tensor_get(tensor, memory.data(), 0, memory.size());
    if (batch_tokens_ == 1) through_host_++;
    return memory.data();
}

/// Of a layer's attention, or null. They are weights, so they are read once.
const float* Session::sinks(const ggml_tensor* node, uint32_t layer) {
    const ggml_tensor* from = node->src[4];
    if (!from || !shared_) return from ? static_cast<const float*>(from->data) : nullptr;
    std::vector<float>& sinks = host_sinks_[layer];
    if (sinks.empty()) {
        sinks.resize(from->ne[0]);
        ggml_backend_tensor_get(from, sinks.data(), 0, sinks.size() * sizeof(float));
    }
    return sinks.data();
}

} // namespace repowave
