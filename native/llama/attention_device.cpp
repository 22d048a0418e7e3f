#include "attention_device.h"

#include <cstring>
#include <ggml-backend-impl.h>
#include <stdexcept>
#include <string>

namespace repowave {
namespace {

ggml_backend_dev_t processor() {
    ggml_backend_dev_t device = ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
    if (!device) throw std::runtime_error("ggml has no CPU backend for this processor");
    return device;
}

constexpr const char* kName = "RepoWave";

bool is_cache(const ggml_tensor* tensor) {
    return tensor && (std::strncmp(tensor->name, "cache_k_l", 9) == 0 ||
                      std::strncmp(tensor->name, "cache_v_l", 9) == 0);
}

} // namespace

void* cpu_function(const char* name) {
    void* const found = ggml_backend_reg_get_proc_address(ggml_backend_dev_backend_reg(processor()), name);
    if (!found) throw std::runtime_error(std::string("ggml's CPU backend lacks ") + name);
    return found;
}

/// What is not set here is as the processor's.
struct AttentionDevice::Device : ggml_backend_device {
    ggml_backend_dev_t gpu;
    bool shared;
    ggml_threadpool* pool = nullptr;

    static const Device* of(ggml_backend_dev_t device) { return static_cast<const Device*>(device); }

    Device(ggml_backend_dev_t gpu, bool shared)
        : ggml_backend_device(*processor()), gpu(gpu), shared(shared) {
        iface.get_name = iface.get_description = [](ggml_backend_dev_t) { return kName; };
        iface.get_memory = [](ggml_backend_dev_t, size_t* free, size_t* total) { *free = *total = 0; };
        // Others come behind GPUs, and would get nothing.
        iface.get_type = [](ggml_backend_dev_t) { return GGML_BACKEND_DEVICE_TYPE_GPU; };
        iface.get_props = [](ggml_backend_dev_t, ggml_backend_dev_props* props) {
            *props = {};
            props->name = props->description = kName;
            props->type = GGML_BACKEND_DEVICE_TYPE_GPU;
        };
        iface.get_host_buffer_type = [](ggml_backend_dev_t device) {
            return ggml_backend_dev_host_buffer_type(of(device)->gpu);
        };
        iface.get_buffer_type = [](ggml_backend_dev_t device) {
            if (of(device)->shared) return ggml_backend_dev_buffer_type(of(device)->gpu);
            ggml_backend_buffer_type_t pinned = ggml_backend_dev_host_buffer_type(of(device)->gpu);
            return pinned ? pinned : ggml_backend_cpu_buffer_type();
        };
        iface.supports_buft = [](ggml_backend_dev_t device, ggml_backend_buffer_type_t type) {
            return ggml_backend_buft_is_host(type) ||
                   (of(device)->shared && type == ggml_backend_dev_buffer_type(of(device)->gpu));
        };
        iface.supports_op = [](ggml_backend_dev_t, const ggml_tensor* node) {
            return node->op == GGML_OP_FLASH_ATTN_EXT ||
                   (node->op == GGML_OP_SET_ROWS && is_cache(node->view_src));
        };
        iface.init_backend = [](ggml_backend_dev_t device, const char*) {
            ggml_backend_t backend = ggml_backend_dev_init(processor(), nullptr);
            backend->device = device;
            reinterpret_cast<void (*)(ggml_backend_t, ggml_threadpool*)>(
                cpu_function("ggml_backend_cpu_set_threadpool"))(backend, of(device)->pool);
            return backend;
        };
    }
};

AttentionDevice::AttentionDevice(ggml_backend_dev_t gpu, bool shared) {
    // The first number of either, in every release.
    const int theirs = ggml_backend_dev_backend_reg(processor())->api_version;
    if (theirs != GGML_BACKEND_API_VERSION)
        throw std::runtime_error("llama.cpp's libraries are of another release");
    device_ = std::make_unique<Device>(gpu, shared);
}

AttentionDevice::~AttentionDevice() = default;

ggml_backend_dev_t AttentionDevice::get() const {
    return device_.get();
}

bool AttentionDevice::is_shared() const {
    return device_->shared;
}

void AttentionDevice::set_threads(ggml_threadpool* pool) {
    device_->pool = pool;
}

} // namespace repowave
