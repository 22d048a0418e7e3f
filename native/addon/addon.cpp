#include "cuda.h"
#include "wrappers.h"

#include "../kernels/matmul.h"

#include <cstring>
#include <dlfcn.h>
#include <filesystem>
#include <system_error>
#include <unistd.h>

namespace repowave::addon {

std::string error_code(const std::exception& error) {
    if (dynamic_cast<const Cancelled*>(&error)) return "Cancelled";
    if (dynamic_cast<const ModelCorrupt*>(&error)) return "ModelCorrupt";
    if (dynamic_cast<const ModelUnsupported*>(&error)) return "ModelUnsupported";
    if (dynamic_cast<const GpuProblem*>(&error)) return "GpuProblem";
    if (dynamic_cast<const wave::SegmentCorrupt*>(&error)) return "SegmentCorrupt";
    if (dynamic_cast<const wave::NoSpace*>(&error)) return "NoSpace";
    if (dynamic_cast<const wave::NoRoom*>(&error)) return "NoRoom";
    if (dynamic_cast<const std::bad_alloc*>(&error)) return "OutOfMemory";
    if (const auto* system = dynamic_cast<const std::system_error*>(&error))
        if (const char* name = strerrorname_np(system->code().value())) return name;
    return "Internal";
}

Napi::Error to_js_error(Napi::Env env, const std::string& code, const std::string& message) {
    Napi::Error error = Napi::Error::New(env, message);
    error.Value()["code"] = Napi::String::New(env, code);
    return error;
}

/// Half of the machine's memory, until setCapacity says otherwise.
const std::shared_ptr<wave::WaveBuffer>& wave_buffer() {
    static const auto buffer = std::make_shared<wave::WaveBuffer>(
        static_cast<size_t>(::sysconf(_SC_PHYS_PAGES)) * static_cast<size_t>(::sysconf(_SC_PAGESIZE)) / 2);
    return buffer;
}

namespace {

void set_capacity(const Napi::CallbackInfo& call) {
    try {
        wave_buffer()->set_capacity(static_cast<size_t>(call[0].As<Napi::Number>().Int64Value()));
    } catch (const std::exception& error) {
        throw to_js_error(call.Env(), error_code(error), error.what());
    }
}

Napi::Value memory(const Napi::CallbackInfo& call) {
    const wave::MemoryReport report = wave_buffer()->report();
    const wave::CacheCounters& counters = report.counters;
    Napi::Object result = Napi::Object::New(call.Env());
    const auto put = [&](const char* name, uint64_t value) {
        result[name] = Napi::Number::New(call.Env(), static_cast<double>(value));
    };
    const auto held = [&](wave::Tier tier) { return report.held[static_cast<size_t>(tier)]; };
    put("capacity", report.capacity);
    put("exact", held(wave::Tier::exact)), put("index", held(wave::Tier::index));
    put("background", held(wave::Tier::background));
    put("cacheCapacity", report.cache_capacity), put("cacheUsed", report.cache_used);
    put("hits", counters.hits), put("misses", counters.misses), put("prefetched", counters.prefetched);
    put("late", counters.late + counters.no_room), put("damaged", counters.failed);
    put("bytesRead", report.bytes_read);
    put("device", CudaMemory::used_by_all());
    return result;
}

/// The folder of this library: llama.cpp's backends lie beside it.
std::string own_directory() {
    Dl_info info{};
    dladdr(reinterpret_cast<void*>(&own_directory), &info);
    return std::filesystem::path(info.dli_fname).parent_path().string();
}

Napi::Value cuda(const Napi::CallbackInfo& call) {
    const CudaReport report = find_cuda(call[0].IsString() ? call[0].As<Napi::String>().Utf8Value()
                                                           : own_directory() + "/librepowave_cuda.so");
    Napi::Object result = Napi::Object::New(call.Env());
    result["library"] = report.library;
    result["driver"] = report.driver;
    result["problem"] = report.problem;
    Napi::Array devices = Napi::Array::New(call.Env());
    for (const cuda::Device& device : report.devices) {
        Napi::Object one = Napi::Object::New(call.Env());
        one["name"] = device.name;
        one["totalBytes"] = static_cast<double>(device.total_bytes);
        one["freeBytes"] = static_cast<double>(device.free_bytes);
        one["capability"] = std::to_string(device.major) + "." + std::to_string(device.minor);
        one["usable"] = device.usable != 0;
        devices[devices.Length()] = one;
    }
    result["devices"] = devices;
    return result;
}

Napi::Value load_model(const Napi::CallbackInfo& call) {
    std::string path = call[0].As<Napi::String>();
    using Progress = Napi::ThreadSafeFunction;
    Progress progress = Progress::New(call.Env(), call[1].As<Napi::Function>(), "load progress", 0, 1);
    std::string plugin;
    bool shared = false;
    if (call[2].IsObject()) {
        plugin = call[2].As<Napi::Object>().Get("plugin").As<Napi::String>();
        shared = call[2].As<Napi::Object>().Get("shared").As<Napi::Boolean>();
    }
    auto model = std::make_shared<std::shared_ptr<const Model>>();
    return Task::start(
        call.Env(), call.This().As<Napi::Object>(),
        [=] {
            initialize_llama(own_directory());
            float reported = -1;
            const auto report = [&](float share) {
                if (share < reported + 0.01f && share < 1) return;
                reported = share;
                progress.NonBlockingCall([share](Napi::Env env, Napi::Function callback) {
                    callback.Call({Napi::Number::New(env, share)});
                });
            };
            ggml_backend_dev_t gpu = plugin.empty() ? nullptr : open_gpu(plugin);
            *model = std::make_shared<Model>(path, report, gpu, shared);
        },
        [model](Napi::Env env) { return ModelWrap::wrap(env, *model); },
        [progress]() mutable { progress.Release(); });
}

Napi::Object initialize(Napi::Env env, Napi::Object exports) {
    env.SetInstanceData(new Classes);
    ModelWrap::define(env);
    SegmentWrap::define(env);
    SessionWrap::define(env);
    exports["isa"] = Napi::String::New(env, wave::matmul_kernels() ? "avx512-vnni" : wave::kernels().isa);
    exports["llamaVersion"] = Napi::String::New(env, llama_version());
    exports["cuda"] = Napi::Function::New(env, cuda, "cuda");
    exports["loadModel"] = Napi::Function::New(env, load_model, "loadModel");
    exports["createSession"] = Napi::Function::New(env, SessionWrap::create, "createSession");
    exports["setCapacity"] = Napi::Function::New(env, set_capacity, "setCapacity");
    exports["memory"] = Napi::Function::New(env, memory, "memory");
    exports["openSegment"] = Napi::Function::New(env, SegmentWrap::open, "openSegment");
    exports["verifySegment"] = Napi::Function::New(env, SegmentWrap::verify, "verifySegment");
    return exports;
}

} // namespace
} // namespace repowave::addon

static Napi::Object init_repowave(Napi::Env env, Napi::Object exports) {
    return repowave::addon::initialize(env, exports);
}
NODE_API_MODULE(repowave, init_repowave)
