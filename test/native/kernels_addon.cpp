// Hands the kernels of every instruction set and the attention over runs to the tests in TypeScript.
#include "wave/attention.h"

#include <cstring>
#include <napi.h>
#include <thread>

namespace {

std::vector<float> floats(const Napi::Value& value) {
    const auto array = value.As<Napi::Float32Array>();
    return {array.Data(), array.Data() + array.ElementLength()};
}

/// A run given as k [tokens][kv_heads][dk] and v [tokens][kv_heads][dv].
std::unique_ptr<wave::KvTail> make_run(const wave::KvShape& shape, const Napi::Object& run) {
    const size_t tokens = run.Get("tokens").As<Napi::Number>().Uint32Value();
    auto kv = std::make_unique<wave::KvTail>(shape);
    kv->reserve(tokens + 1);
    const std::vector<float> k = floats(run.Get("k")), v = floats(run.Get("v"));
    for (uint32_t head = 0; head < shape.kv_heads; head++) {
        kv->write_keys(0, head, 0, tokens, reinterpret_cast<const uint8_t*>(k.data()),
                       shape.kv_heads * shape.dk * sizeof(float));
        kv->write_values(0, head, 0, tokens, reinterpret_cast<const uint8_t*>(v.data()),
                         shape.kv_heads * shape.dv * sizeof(float));
    }
    kv->set_tokens(tokens);
    return kv;
}

/// isas(): the names of the instruction sets that this processor has.
Napi::Value isas(const Napi::CallbackInfo& call) {
    Napi::Array names = Napi::Array::New(call.Env());
    for (const char* isa : {"scalar", "avx2", "avx512"})
        if (wave::kernels_named(isa)) names[names.Length()] = Napi::String::New(call.Env(), isa);
    return names;
}

/// toF16(isa, Float32Array): Uint16Array
Napi::Value to_f16(const Napi::CallbackInfo& call) {
    const std::vector<float> x = floats(call[1]);
    Napi::Uint16Array y = Napi::Uint16Array::New(call.Env(), x.size());
    wave::kernels_named(call[0].As<Napi::String>().Utf8Value().c_str())->to_f16(x.data(), y.Data(), x.size());
    return y;
}

/// attend({queryHeads, kvHeads, dk, dv, f16, threads}, q, tokens, scale, views, tail, wantMass): {out, mass}
/// with the kernels that REPOWAVE_ISA names.
Napi::Value attend(const Napi::CallbackInfo& call) {
    const auto options = call[0].As<Napi::Object>();
    const auto number = [&](const char* name) { return options.Get(name).As<Napi::Number>().Uint32Value(); };
    const wave::KvShape shape{1, number("kvHeads"), number("dk"), number("dv"),
                              options.Get("f16").As<Napi::Boolean>() ? wave::DType::f16 : wave::DType::f32};
    const int query_heads = number("queryHeads"), threads = number("threads");
    const std::vector<float> q = floats(call[1]);
    const int tokens = call[2].As<Napi::Number>();

    std::vector<std::unique_ptr<wave::KvTail>> stored;
    std::vector<float> biases;
    const auto list = call[4].As<Napi::Array>();
    size_t view_tokens = 0;
    for (uint32_t i = 0; i < list.Length(); i++) {
        stored.push_back(make_run(shape, list.Get(i).As<Napi::Object>()));
        biases.push_back(list.Get(i).As<Napi::Object>().Get("bias").As<Napi::Number>());
        view_tokens += stored.back()->tokens();
    }
    const auto tail = make_run(shape, call[5].As<Napi::Object>());
    std::vector<wave::KvRun> views, tails;
    for (uint32_t head = 0; head < shape.kv_heads; head++) {
        for (size_t i = 0; i < stored.size(); i++) {
            views.push_back(stored[i]->run(0, head, stored[i]->tokens()));
            views.back().bias = biases[i];
        }
        tails.push_back(tail->run(0, head, tail->tokens()));
    }
    std::vector<float> mass(shape.kv_heads * view_tokens);
    Napi::Float32Array out = Napi::Float32Array::New(call.Env(), static_cast<size_t>(tokens) * query_heads * shape.dv);

    wave::AttentionCall job{};
    job.q = reinterpret_cast<const uint8_t*>(q.data());
    job.q_head_stride = shape.dk * sizeof(float), job.q_token_stride = query_heads * job.q_head_stride;
    job.out = reinterpret_cast<uint8_t*>(out.Data());
    job.out_head_stride = shape.dv * sizeof(float), job.out_token_stride = query_heads * job.out_head_stride;
    job.tokens = tokens, job.scale = call[3].As<Napi::Number>();
    job.views = views.data(), job.view_count = stored.size(), job.tail = tails.data();
    job.mass = call[6].As<Napi::Boolean>() ? mass.data() : nullptr;
    wave::Attention attention(shape, query_heads, threads);
    attention.begin(job);
    std::vector<std::thread> others;
    for (int i = 1; i < threads; i++) others.emplace_back([&, i] { attention.work(i); });
    attention.work(0);
    for (std::thread& other : others) other.join();

    Napi::Float32Array summed = Napi::Float32Array::New(call.Env(), view_tokens);
    std::fill_n(summed.Data(), view_tokens, 0.0f);
    for (size_t i = 0; i < mass.size(); i++) summed[i % view_tokens] = summed[i % view_tokens] + mass[i];
    Napi::Object result = Napi::Object::New(call.Env());
    result["out"] = out;
    result["mass"] = summed;
    result["isa"] = Napi::String::New(call.Env(), wave::kernels().isa);
    return result;
}

Napi::Object initialize(Napi::Env env, Napi::Object exports) {
    exports["isas"] = Napi::Function::New(env, isas);
    exports["toF16"] = Napi::Function::New(env, to_f16);
    exports["attend"] = Napi::Function::New(env, attend);
    return exports;
}

} // namespace

NODE_API_MODULE(kernels_test, initialize)
