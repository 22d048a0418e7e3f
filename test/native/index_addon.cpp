// Hands clusters, selection, segment files and the mass of heads to the tests in TypeScript.
#include "addon_values.h"

#include "wave/head_mass.h"
#include "wave/selection.h"

namespace values {
namespace {

/// cluster(x [points][d], points, d): {order, starts}
Napi::Value cluster(const Napi::CallbackInfo& call) {
    const std::vector<float> x = floats(call[0]);
    const wave::Partition parts =
        wave::cluster(x.data(), call[1].As<Napi::Number>().Uint32Value(), call[2].As<Napi::Number>().Uint32Value());
    Napi::Object result = Napi::Object::New(call.Env());
    result["order"] = array_of(call.Env(), parts.order);
    result["starts"] = array_of(call.Env(), parts.starts);
    return result;
}

/// buildIndex({kvHeads, dk, dv, f16}, run): the index of each KV head
Napi::Value build_index(const Napi::CallbackInfo& call) {
    const wave::KvShape shape = shape_of(call[0].As<Napi::Object>());
    const auto tail = make_tail(shape, {call[1].As<Napi::Object>()});
    Napi::Array result = Napi::Array::New(call.Env());
    for (uint32_t head = 0; head < shape.kv_heads; head++) {
        const wave::BuiltClusters built(shape, tail->run(0, head, tail->tokens()));
        result[head] = read_clusters(call.Env(), shape, built.view(), tail->tokens());
    }
    return result;
}

/// choose(ranks, sizes per run (Uint32Array[]), budget): the chosen clusters
Napi::Value choose(const Napi::CallbackInfo& call) {
    static wave::Selection selection; // kept, as attention keeps it: one choice must not colour the next
    const std::vector<float> ranks = floats(call[0]);
    std::vector<std::vector<uint32_t>> starts;
    for (const Napi::Object& run : objects(call[1])) {
        const auto sizes = Napi::Value(run).As<Napi::Uint32Array>();
        starts.emplace_back(1, 0);
        for (size_t i = 0; i < sizes.ElementLength(); i++) starts.back().push_back(starts.back().back() + sizes[i]);
    }
    std::vector<wave::ClusterSizes> runs;
    for (const auto& run : starts) runs.push_back({run.data(), static_cast<uint32_t>(run.size() - 1)});
    const auto budget = static_cast<size_t>(call[2].As<Napi::Number>().Int64Value());
    return array_of(call.Env(), selection.choose(ranks.data(), runs, budget));
}

/// writeSegment(path, {kvHeads, dk, dv, f16}, a run per layer, meta, threads, layers without an index, packed)
void write_segment(const Napi::CallbackInfo& call) {
    const std::vector<Napi::Object> runs = objects(call[2]);
    const wave::KvShape shape = shape_of(call[1].As<Napi::Object>(), static_cast<uint32_t>(runs.size()));
    wave::SegmentSettings settings;
    settings.threads = call[4].As<Napi::Number>();
    settings.without_index.resize(shape.layers);
    settings.packed = call[6].ToBoolean();
    const auto without = call[5].As<Napi::Array>();
    for (uint32_t i = 0; i < without.Length(); i++)
        settings.without_index[without.Get(i).As<Napi::Number>().Uint32Value()] = true;
    wave::write_segment(call[0].As<Napi::String>(), *make_tail(shape, runs), call[3].As<Napi::String>(), settings);
}

/// readSegment(path): {tokens, meta, indexBytes, heads: per layer and KV head {slots, hasIndex, …its index}};
/// throws what the constructor throws
Napi::Value read_segment(const Napi::CallbackInfo& call) {
    const Napi::Env env = call.Env();
    const wave::Segment segment(call[0].As<Napi::String>().Utf8Value());
    const wave::KvShape& shape = segment.shape();
    const wave::Layout& at = segment.layout();
    const wave::AlignedBytes coarse = segment.read_coarse(), order = segment.read_order(), fine = segment.read_fine(),
                             slots = wave::aligned_bytes(segment.slots_bytes());
    Napi::Array heads = Napi::Array::New(env);
    for (uint32_t i = 0; i < shape.layers * shape.kv_heads; i++) {
        const uint32_t layer = i / shape.kv_heads;
        const bool has_index = segment.has_index(layer);
        const wave::TableEntry& entry = segment.entry(i);
        const wave::Clusters clusters{at.fine_of(fine.get(), entry, i), at.starts_of(order.get(), i),
                                      at.coarse_of(coarse.get(), entry, i), at.tokens_of(order.get(), i)};
        Napi::Object head =
            has_index ? read_clusters(env, shape, clusters, segment.tokens()) : Napi::Object::New(env);
        segment.read_slots(i, slots.get());
        head["slots"] = read_stored(env, slots.get(), shape.type, segment.tokens() * shape.slot_elements());
        head["hasIndex"] = has_index;
        heads[i] = head;
    }
    Napi::Object result = Napi::Object::New(env);
    result["tokens"] = static_cast<double>(segment.tokens());
    result["indexBytes"] = static_cast<double>(segment.index_bytes());
    result["meta"] = segment.meta();
    result["heads"] = heads;
    return result;
}

/// openSegment(path) and verifySegment(path) throw what the constructor and `verify` throw.
Napi::Value open_segment(const Napi::CallbackInfo& call) {
    wave::Segment segment(call[0].As<Napi::String>().Utf8Value());
    return call.Env().Undefined();
}
Napi::Value verify_segment(const Napi::CallbackInfo& call) {
    wave::Segment(call[0].As<Napi::String>().Utf8Value()).verify();
    return call.Env().Undefined();
}

/// headMass(paths, [{layer, kvHead, q}], threads): [heads][segments]
Napi::Value head_mass(const Napi::CallbackInfo& call) {
    std::vector<std::shared_ptr<const wave::Segment>> segments;
    const auto paths = call[0].As<Napi::Array>();
    for (uint32_t i = 0; i < paths.Length(); i++)
        segments.push_back(std::make_shared<const wave::Segment>(paths.Get(i).As<Napi::String>().Utf8Value()));
    std::vector<wave::HeadQueries> heads;
    for (const Napi::Object& head : objects(call[1]))
        heads.push_back({number(head, "layer"), number(head, "kvHead"), floats(head.Get("q"))});
    return array_of(call.Env(), wave::head_mass(segments[0]->shape(), heads, segments, call[2].As<Napi::Number>()));
}

/// What a function throws, as a JavaScript error with the C++ message.
template <Napi::Value (*Function)(const Napi::CallbackInfo&)> Napi::Value guarded(const Napi::CallbackInfo& call) {
    try {
        return Function(call);
    } catch (const wave::SegmentCorrupt& error) {
        throw Napi::Error::New(call.Env(), error.what());
    }
}

} // namespace

void add_index(Napi::Object exports) {
    const Napi::Env env = exports.Env();
    exports["cluster"] = Napi::Function::New(env, cluster);
    exports["buildIndex"] = Napi::Function::New(env, build_index);
    exports["choose"] = Napi::Function::New(env, choose);
    exports["writeSegment"] = Napi::Function::New(env, write_segment);
    exports["readSegment"] = Napi::Function::New(env, guarded<read_segment>);
    exports["openSegment"] = Napi::Function::New(env, guarded<open_segment>);
    exports["verifySegment"] = Napi::Function::New(env, guarded<verify_segment>);
    exports["headMass"] = Napi::Function::New(env, head_mass);
}

} // namespace values
