// Hands attention over exact runs, wave runs, the background and the tail to the tests in TypeScript.
#include "addon_values.h"

#include "wave/attention.h"

#include <cmath>
#include <cstring>
#include <thread>

namespace values {
namespace {

/// Runs of one kind, in memory: exact, or with an index and K and V in the order of its clusters.
struct Stored {
    std::vector<std::unique_ptr<wave::KvTail>> tails;
    std::vector<float> biases;
    std::vector<int64_t> positions;
    size_t tokens = 0;
    std::vector<wave::BuiltClusters> built; ///< [runs][kv_heads]
    std::vector<wave::AlignedBytes> permuted;

    Stored(const wave::KvShape& shape, const Napi::Value& list) {
        for (const Napi::Object& run : objects(list)) {
            tails.push_back(make_tail(shape, {run}));
            biases.push_back(run.Get("bias").As<Napi::Number>());
            positions.push_back(run.Get("position").As<Napi::Number>().Int64Value());
            tokens += tails.back()->tokens();
        }
    }

    wave::KvRun run(size_t i, uint32_t head) const {
        wave::KvRun run = tails[i]->run(0, head, tails[i]->tokens());
        run.bias = biases[i], run.position = positions[i];
        return run;
    }

    void build(const wave::KvShape& shape) {
        for (size_t i = 0; i < tails.size(); i++)
            for (uint32_t head = 0; head < shape.kv_heads; head++) built.emplace_back(shape, run(i, head));
    }

    const void* permute(const void* rows, size_t bytes, const std::vector<uint32_t>& order) {
        permuted.push_back(wave::aligned_bytes(order.size() * bytes));
        for (size_t slot = 0; slot < order.size(); slot++)
            std::memcpy(permuted.back().get() + slot * bytes,
                        static_cast<const uint8_t*>(rows) + order[slot] * bytes, bytes);
        return permuted.back().get();
    }

    wave::WaveRun wave_run(const wave::KvShape& shape, size_t i, uint32_t head) {
        wave::KvRun permuted = run(i, head);
        const wave::BuiltClusters& clusters = built[i * shape.kv_heads + head];
        permuted.k = permute(permuted.k, shape.key_bytes(), clusters.order());
        permuted.v = permute(permuted.v, shape.value_bytes(), clusters.order());
        return {permuted, clusters.view()};
    }
};

/// The coarse summaries of one KV head of all background runs, side by side.
struct Coarse {
    std::vector<uint8_t> keys, values;
    std::vector<float> log_sizes;

    Coarse(const wave::KvShape& shape, const Stored& stored, uint32_t head) {
        for (size_t i = 0; i < stored.tails.size(); i++) {
            const wave::Summaries c = stored.built[i * shape.kv_heads + head].view().coarse;
            const auto *k = static_cast<const uint8_t*>(c.keys), *v = static_cast<const uint8_t*>(c.values);
            keys.insert(keys.end(), k, k + c.count * shape.key_bytes());
            values.insert(values.end(), v, v + c.count * shape.value_bytes());
            for (uint32_t s = 0; s < c.count; s++) log_sizes.push_back(c.log_sizes[s] + stored.biases[i]);
        }
    }
    wave::Summaries view() const {
        return {keys.data(), values.data(), log_sizes.data(), static_cast<uint32_t>(log_sizes.size())};
    }
};

Napi::Value read_record(Napi::Env env, const wave::HeadRecord& record) {
    Napi::Object result = Napi::Object::New(env);
    result["zones"] = array_of(env, std::vector<float>(record.zones, record.zones + wave::kZones));
    result["retrievedTokens"] = record.retrieved_tokens;
    result["retrievedClusters"] = record.retrieved_clusters;
    result["bytes"] = static_cast<double>(record.bytes);
    if (record.sampled) {
        result["recall"] = record.sample.recall;
        result["captured"] = record.sample.captured;
    }
    return result;
}

void run_threads(wave::Attention& attention, const wave::AttentionCall& job, int threads) {
    attention.begin(job);
    std::vector<std::thread> others;
    for (int i = 1; i < threads; i++) others.emplace_back([&, i] { attention.work(i); });
    attention.work(0);
    for (std::thread& other : others) other.join();
}

/// [kv_heads][tokens of exact and wave runs], wave runs in the order of their tokens
std::vector<float> mass_by_token(const wave::KvShape& shape, const std::vector<float>& mass, const Stored& exact,
                                 const Stored& waves) {
    std::vector<float> result = mass;
    for (uint32_t head = 0; head < shape.kv_heads; head++) {
        size_t at = head * (exact.tokens + waves.tokens) + exact.tokens;
        for (size_t i = 0; i < waves.tails.size(); i++) {
            const std::vector<uint32_t>& order = waves.built[i * shape.kv_heads + head].order();
            for (size_t slot = 0; slot < order.size(); slot++) result[at + order[slot]] = mass[at + slot];
            at += order.size();
        }
    }
    return result;
}

/// attend({queryHeads, kvHeads, dk, dv, f16, threads, tokens, scale, softCap, window, position, budget, estimate,
/// record, sample, repeat}, q, {exact, wave, background, tail, sinks}): {out, and with `record` mass and records}.
/// `repeat` calls are made with the same memory, and the last one told. With the kernels that REPOWAVE_ISA names.
Napi::Value attend(const Napi::CallbackInfo& call) {
    const auto options = call[0].As<Napi::Object>(), seen = call[2].As<Napi::Object>();
    const wave::KvShape shape = shape_of(options);
    const int query_heads = number(options, "queryHeads"), threads = number(options, "threads");
    const bool record = options.Get("record").As<Napi::Boolean>();
    const std::vector<float> q = floats(call[1]);

    Stored exact(shape, seen.Get("exact")), waves(shape, seen.Get("wave")), background(shape, seen.Get("background"));
    waves.build(shape);
    background.build(shape);
    const auto tail = make_tail(shape, {seen.Get("tail").As<Napi::Object>()});
    std::vector<wave::KvRun> exact_runs, tails;
    std::vector<wave::WaveRun> wave_runs;
    std::vector<Coarse> coarse;
    std::vector<wave::Summaries> summaries;
    for (uint32_t head = 0; head < shape.kv_heads; head++) {
        for (size_t i = 0; i < exact.tails.size(); i++) exact_runs.push_back(exact.run(i, head));
        for (size_t i = 0; i < waves.tails.size(); i++) wave_runs.push_back(waves.wave_run(shape, i, head));
        coarse.emplace_back(shape, background, head);
        tails.push_back(tail->run(0, head, tail->tokens()));
    }
    for (const Coarse& head : coarse) summaries.push_back(head.view());
    const std::vector<float> sinks = seen.Get("sinks").IsNull() ? std::vector<float>{} : floats(seen.Get("sinks"));
    std::vector<float> mass(shape.kv_heads * (exact.tokens + waves.tokens));
    std::vector<wave::HeadRecord> records(shape.kv_heads);

    wave::AttentionCall job{};
    job.tokens = static_cast<int>(number(options, "tokens"));
    std::vector<float> out(static_cast<size_t>(job.tokens) * query_heads * shape.dv);
    job.q = reinterpret_cast<const uint8_t*>(q.data());
    job.q_head_stride = shape.dk * sizeof(float), job.q_token_stride = query_heads * job.q_head_stride;
    job.out = reinterpret_cast<uint8_t*>(out.data());
    job.out_head_stride = shape.dv * sizeof(float), job.out_token_stride = query_heads * job.out_head_stride;
    job.scale = options.Get("scale").As<Napi::Number>(), job.soft_cap = options.Get("softCap").As<Napi::Number>();
    job.sinks = sinks.empty() ? nullptr : sinks.data();
    job.window = static_cast<int>(number(options, "window"));
    job.position = options.Get("position").As<Napi::Number>().Int64Value();
    job.exact = exact_runs.data(), job.exact_count = exact.tails.size();
    job.wave = wave_runs.data(), job.wave_count = waves.tails.size();
    job.budget = static_cast<size_t>(options.Get("budget").As<Napi::Number>().Int64Value());
    job.estimate = options.Get("estimate").As<Napi::Boolean>();
    job.background = background.tails.empty() ? nullptr : summaries.data();
    job.tail = tails.data();
    if (record) job.mass = mass.data(), job.records = records.data();
    job.sample = options.Get("sample").As<Napi::Boolean>();

    wave::Attention attention(shape, query_heads, threads);
    for (uint32_t i = 0; i < number(options, "repeat"); i++) {
        std::fill(mass.begin(), mass.end(), 0.0f);
        run_threads(attention, job, threads);
    }

    const Napi::Env env = call.Env();
    Napi::Object result = Napi::Object::New(env);
    result["out"] = array_of(env, out);
    if (!record) return result;
    result["mass"] = array_of(env, mass_by_token(shape, mass, exact, waves));
    Napi::Array list = Napi::Array::New(env);
    for (uint32_t head = 0; head < shape.kv_heads; head++) list[head] = read_record(env, records[head]);
    result["records"] = list;
    return result;
}

} // namespace

void add_attention(Napi::Object exports) {
    exports["attend"] = Napi::Function::New(exports.Env(), attend);
}

} // namespace values
