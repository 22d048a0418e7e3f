// A plug-in of ggml for tests, as libggml-cuda.so is one. Its GPU is the processor, and its memory the host's,
// though it does not say so. As a GPU it has no custom operations; and since attention must not come to it, it
// fails over it. FAKE_GPU_LOG names a file that gets one letter for every graph that it is given.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ggml-backend-impl.h>
#include <ggml-cpu.h>

namespace {

ggml_backend_dev_t processor() {
    return ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
}

ggml_backend_buffer_type memory{};
decltype(ggml_backend_i::graph_compute) compute_on_processor;

ggml_status compute(ggml_backend_t backend, ggml_cgraph* graph) {
    if (const char* name = std::getenv("FAKE_GPU_LOG"))
        if (std::FILE* log = std::fopen(name, "a")) std::fputc('g', log), std::fclose(log);
    for (int i = 0; i < ggml_graph_n_nodes(graph); i++) {
        const ggml_op op = ggml_graph_node(graph, i)->op;
        if (op == GGML_OP_CUSTOM || op == GGML_OP_FLASH_ATTN_EXT) return GGML_STATUS_FAILED;
    }
    return compute_on_processor(backend, graph);
}

struct Device : ggml_backend_device {
    explicit Device(ggml_backend_reg_t registry) : ggml_backend_device(*processor()) {
        reg = registry;
        memory.iface.get_name = [](ggml_backend_buffer_type_t) { return "fake"; };
        memory.iface.get_alignment = [](ggml_backend_buffer_type_t) -> size_t { return 64; };
        memory.iface.alloc_buffer = [](ggml_backend_buffer_type_t, size_t size) {
            // The device has so much.
            if (const char* most = std::getenv("FAKE_GPU_BYTES"))
                if (size > std::strtoull(most, nullptr, 10)) return ggml_backend_buffer_t{};
            ggml_backend_buffer_t buffer = ggml_backend_buft_alloc_buffer(ggml_backend_cpu_buffer_type(), size);
            buffer->buft = &memory;
            return buffer;
        };
        memory.device = this;
        iface.get_name = [](ggml_backend_dev_t) { return "Fake0"; };
        iface.get_description = [](ggml_backend_dev_t) { return "fake GPU"; };
        iface.get_type = [](ggml_backend_dev_t) { return GGML_BACKEND_DEVICE_TYPE_GPU; };
        iface.get_props = [](ggml_backend_dev_t, ggml_backend_dev_props* props) {
            *props = {};
            props->name = "Fake0", props->description = "fake GPU";
            props->type = GGML_BACKEND_DEVICE_TYPE_GPU;
        };
        iface.get_buffer_type = [](ggml_backend_dev_t) { return &memory; };
        iface.get_host_buffer_type = nullptr;
        iface.buffer_from_host_ptr = nullptr;
        iface.supports_buft = [](ggml_backend_dev_t, ggml_backend_buffer_type_t type) { return type == &memory; };
        iface.init_backend = [](ggml_backend_dev_t device, const char*) {
            ggml_backend_t backend = ggml_backend_dev_init(processor(), nullptr);
            compute_on_processor = backend->iface.graph_compute;
            backend->iface.graph_compute = compute;
            backend->device = device;
            return backend;
        };
    }
};

} // namespace

extern "C" __attribute__((visibility("default"))) ggml_backend_reg_t ggml_backend_init() {
    static ggml_backend_reg registry{};
    static Device device(&registry);
    registry.api_version = GGML_BACKEND_API_VERSION;
    registry.iface.get_name = [](ggml_backend_reg_t) { return "Fake"; };
    registry.iface.get_device_count = [](ggml_backend_reg_t) -> size_t { return 1; };
    registry.iface.get_device = [](ggml_backend_reg_t, size_t) -> ggml_backend_dev_t { return &device; };
    registry.iface.get_proc_address = [](ggml_backend_reg_t, const char* name) -> void* {
        if (std::strcmp(name, "ggml_backend_set_n_threads") != 0) return nullptr;
        return ggml_backend_reg_get_proc_address(ggml_backend_dev_backend_reg(processor()), name);
    };
    return &registry;
}
