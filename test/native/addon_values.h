// What the test addons take from JavaScript and give back.
#pragma once

#include "wave/clusters.h"

#include <napi.h>

namespace values {

inline std::vector<float> floats(const Napi::Value& value) {
    const auto array = value.As<Napi::Float32Array>();
    return {array.Data(), array.Data() + array.ElementLength()};
}

template <class Element> Napi::Value array_of(Napi::Env env, const std::vector<Element>& list) {
    auto array = Napi::TypedArrayOf<Element>::New(env, list.size());
    std::copy(list.begin(), list.end(), array.Data());
    return array;
}

inline uint32_t number(const Napi::Object& object, const char* name) {
    return object.Get(name).As<Napi::Number>().Uint32Value();
}

/// {kvHeads, dk, dv, f16}
inline wave::KvShape shape_of(const Napi::Object& options, uint32_t layers = 1) {
    return {layers, number(options, "kvHeads"), number(options, "dk"), number(options, "dv"),
            options.Get("f16").As<Napi::Boolean>() ? wave::DType::f16 : wave::DType::f32};
}

/// Runs of the same length, one per layer, each given as k [tokens][kv_heads][dk] and v [tokens][kv_heads][dv].
inline std::unique_ptr<wave::KvTail> make_tail(const wave::KvShape& shape, const std::vector<Napi::Object>& runs) {
    const size_t tokens = number(runs[0], "tokens");
    auto kv = std::make_unique<wave::KvTail>(shape);
    kv->reserve(tokens);
    for (uint32_t layer = 0; layer < shape.layers; layer++) {
        const std::vector<float> k = floats(runs[layer].Get("k")), v = floats(runs[layer].Get("v"));
        for (uint32_t head = 0; head < shape.kv_heads; head++) {
            kv->write_keys(layer, head, 0, tokens, reinterpret_cast<const uint8_t*>(k.data()),
                           shape.kv_heads * shape.dk * sizeof(float));
            kv->write_values(layer, head, 0, tokens, reinterpret_cast<const uint8_t*>(v.data()),
                             shape.kv_heads * shape.dv * sizeof(float));
        }
    }
    kv->set_tokens(tokens);
    return kv;
}

inline std::vector<Napi::Object> objects(const Napi::Value& value) {
    const auto list = value.As<Napi::Array>();
    std::vector<Napi::Object> result;
    for (uint32_t i = 0; i < list.Length(); i++) result.push_back(list.Get(i).As<Napi::Object>());
    return result;
}

/// Stored elements as floats.
inline Napi::Value read_stored(Napi::Env env, const void* data, wave::DType type, size_t n) {
    std::vector<float> x(n);
    if (type == wave::DType::f16)
        wave::kernels().from_f16(static_cast<const uint16_t*>(data), x.data(), n);
    else
        std::copy_n(static_cast<const float*>(data), n, x.data());
    return array_of(env, x);
}

/// {keys, values, logSizes}
inline Napi::Object read_summaries(Napi::Env env, const wave::KvShape& shape, const wave::Summaries& summaries) {
    Napi::Object result = Napi::Object::New(env);
    result["keys"] = read_stored(env, summaries.keys, shape.type, static_cast<size_t>(summaries.count) * shape.dk);
    result["values"] = read_stored(env, summaries.values, shape.type, static_cast<size_t>(summaries.count) * shape.dv);
    result["logSizes"] =
        array_of(env, std::vector<float>(summaries.log_sizes, summaries.log_sizes + summaries.count));
    return result;
}

/// {fine, coarse, starts, order} of an index over `tokens` tokens
inline Napi::Object read_clusters(Napi::Env env, const wave::KvShape& shape, const wave::Clusters& clusters,
                                  size_t tokens) {
    Napi::Object result = Napi::Object::New(env);
    result["fine"] = read_summaries(env, shape, clusters.fine);
    result["coarse"] = read_summaries(env, shape, clusters.coarse);
    result["starts"] =
        array_of(env, std::vector<uint32_t>(clusters.starts, clusters.starts + clusters.fine.count + 1));
    result["order"] = array_of(env, std::vector<uint32_t>(clusters.tokens, clusters.tokens + tokens));
    return result;
}

/// The functions of one part of the addon, by their names in JavaScript.
void add_kernels(Napi::Object exports);
void add_matmul(Napi::Object exports);
void add_index(Napi::Object exports);
void add_attention(Napi::Object exports);

} // namespace values
