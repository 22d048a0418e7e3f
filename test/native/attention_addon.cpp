// Hands attention over exact runs, wave runs, the background and the tail to the tests in TypeScript, and attention
// over stored segments.
#include "addon_values.h"

#include "wave/attention.h"
#include "wave/views.h"

#include "wave/checksum.h"

#include <cmath>
#include <cstring>
#include <sys/mman.h>
#include <thread>
#include <unistd.h>

namespace values {
namespace {

/// Runs of one kind, in memory: exact, or with an index and K and V in the order of its clusters.
struct Stored {
    std::vector<std::unique_ptr<wave::KvTail>> tails;
    std::vector<float> biases;
    std::vector<int64_t> positions;
    size_t tokens = 0;
    std::vector<wave::BuiltClusters> built; ///< [runs][kv_heads]
    // Of wave runs, in files without a name:
    std::vector<int> descriptors;
    std::vector<std::vector<uint32_t>> checksums; ///< [runs][kv_heads]
    std::vector<std::shared_ptr<const wave::ClusterFile>> files;
    std::vector<uint32_t> numbers;
    std::unique_ptr<wave::BlockCache> cache; ///< goes first

    Stored(const wave::KvShape& shape, const Napi::Value& list) {
        for (const Napi::Object& run : objects(list)) {
            tails.push_back(make_tail(shape, {run}));
            biases.push_back(run.Get("bias").As<Napi::Number>());
            positions.push_back(run.Get("position").As<Napi::Number>().Int64Value());
            tokens += tails.back()->tokens();
        }
    }

    ~Stored() {
        for (const int fd : descriptors) ::close(fd);
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

    /// Slots in the order of the clusters in a file, and a cache of them that holds `capacity` bytes.
    void store(const wave::KvShape& shape, size_t capacity) {
        const size_t slot = shape.slot_bytes();
        cache = std::make_unique<wave::BlockCache>(slot, capacity);
        checksums.resize(built.size());
        for (size_t i = 0; i < tails.size(); i++) {
            const int fd = ::memfd_create("slots", MFD_CLOEXEC);
            descriptors.push_back(fd);
            std::vector<wave::StoredHead> heads;
            uint64_t end = 0;
            for (uint32_t head = 0; head < shape.kv_heads; head++) {
                const wave::BuiltClusters& index = built[i * shape.kv_heads + head];
                const wave::KvRun from = run(i, head);
                std::vector<uint8_t> slots(from.tokens * slot);
                for (size_t s = 0; s < from.tokens; s++)
                    std::memcpy(slots.data() + s * slot, from.slots + index.order()[s] * slot, slot);
                std::vector<uint32_t>& sums = checksums[i * shape.kv_heads + head];
                const wave::Clusters clusters = index.view();
                for (uint32_t c = 0; c < clusters.fine.count; c++)
                    sums.push_back(wave::crc32c(slots.data() + clusters.starts[c] * slot,
                                                (clusters.starts[c + 1] - clusters.starts[c]) * slot));
                heads.push_back({clusters.starts, sums.data(), clusters.fine.count, end});
                if (::pwrite(fd, slots.data(), slots.size(), static_cast<off_t>(end)) < 0) throw std::bad_alloc();
                end += slots.size();
            }
            const auto file = std::make_shared<const wave::StoredFile>("/proc/self/fd/" + std::to_string(fd));
            files.push_back(std::make_shared<const wave::ClusterFile>(file, shape, false, std::move(heads)));
            numbers.push_back(cache->add_segment(files.back()));
        }
    }

    wave::WaveRun wave_run(const wave::KvShape& shape, size_t i, uint32_t head) const {
        wave::KvRun stored = run(i, head);
        stored.slots = nullptr;
        return {stored, built[i * shape.kv_heads + head].view(), numbers[i], files[i].get()};
    }
};

Napi::Value read_record(Napi::Env env, const wave::HeadRecord& record) {
    Napi::Object result = Napi::Object::New(env);
    result["zones"] = array_of(env, std::vector<float>(record.zones, record.zones + wave::kZones));
    result["retrievedTokens"] = record.retrieved_tokens;
    result["retrievedClusters"] = record.retrieved_clusters;
    result["lateClusters"] = record.late_clusters;
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

/// What `attend` and `attendViews` have in common: {queryHeads, tokens, scale, softCap, window, position, budget,
/// estimate, sample}, q and room for the result.
wave::AttentionCall job_of(const Napi::Object& options, const wave::KvShape& shape, const std::vector<float>& q,
                           std::vector<float>& out) {
    const uint32_t query_heads = number(options, "queryHeads");
    wave::AttentionCall job{};
    job.tokens = static_cast<int>(number(options, "tokens"));
    out.resize(static_cast<size_t>(job.tokens) * query_heads * shape.dv);
    job.q = reinterpret_cast<const uint8_t*>(q.data());
    job.q_head_stride = shape.dk * sizeof(float), job.q_token_stride = query_heads * job.q_head_stride;
    job.out = reinterpret_cast<uint8_t*>(out.data());
    job.out_head_stride = shape.dv * sizeof(float), job.out_token_stride = query_heads * job.out_head_stride;
    job.scale = options.Get("scale").As<Napi::Number>(), job.soft_cap = options.Get("softCap").As<Napi::Number>();
    job.window = static_cast<int>(number(options, "window"));
    job.position = options.Get("position").As<Napi::Number>().Int64Value();
    job.budget = static_cast<size_t>(options.Get("budget").As<Napi::Number>().Int64Value());
    job.estimate = options.Get("estimate").As<Napi::Boolean>();
    job.sample = options.Get("sample").As<Napi::Boolean>();
    return job;
}

std::vector<wave::KvRun> tail_runs(const wave::KvTail& tail) {
    std::vector<wave::KvRun> runs;
    for (uint32_t head = 0; head < tail.shape().kv_heads; head++) runs.push_back(tail.run(0, head, tail.tokens()));
    return runs;
}

/// attend({kvHeads, dk, dv, f16, threads, record, repeat, cacheBytes, wait, …job_of}, q, {exact, wave, background, tail, sinks}): {out,
/// and with `record` mass and records}. `repeat` calls are made with the same memory, and the last one told. With the
/// kernels that REPOWAVE_ISA names.
Napi::Value attend(const Napi::CallbackInfo& call) {
    const auto options = call[0].As<Napi::Object>(), seen = call[2].As<Napi::Object>();
    const wave::KvShape shape = shape_of(options);
    const int query_heads = number(options, "queryHeads"), threads = number(options, "threads");
    const bool record = options.Get("record").As<Napi::Boolean>();
    const std::vector<float> q = floats(call[1]);

    Stored exact(shape, seen.Get("exact")), waves(shape, seen.Get("wave")), background(shape, seen.Get("background"));
    waves.build(shape);
    waves.store(shape, static_cast<size_t>(options.Get("cacheBytes").As<Napi::Number>().Int64Value()));
    background.build(shape);
    const auto tail = make_tail(shape, {seen.Get("tail").As<Napi::Object>()});
    std::vector<wave::KvRun> exact_runs;
    std::vector<wave::WaveRun> wave_runs;
    std::vector<wave::CoarseRun> coarse_runs;
    for (uint32_t head = 0; head < shape.kv_heads; head++) {
        for (size_t i = 0; i < exact.tails.size(); i++) exact_runs.push_back(exact.run(i, head));
        for (size_t i = 0; i < waves.tails.size(); i++) wave_runs.push_back(waves.wave_run(shape, i, head));
        for (size_t i = 0; i < background.tails.size(); i++)
            coarse_runs.push_back({background.built[i * shape.kv_heads + head].view().coarse, background.biases[i]});
    }
    const std::vector<wave::KvRun> tails = tail_runs(*tail);
    const std::vector<float> sinks = seen.Get("sinks").IsNull() ? std::vector<float>{} : floats(seen.Get("sinks"));
    std::vector<float> out, mass(shape.kv_heads * (exact.tokens + waves.tokens));
    std::vector<wave::HeadRecord> records(shape.kv_heads);

    wave::AttentionCall job = job_of(options, shape, q, out);
    job.sinks = sinks.empty() ? nullptr : sinks.data();
    job.exact = exact_runs.data(), job.exact_count = exact.tails.size();
    job.wave = wave_runs.data(), job.wave_count = waves.tails.size();
    job.cache = waves.cache.get(), job.wait = options.Get("wait").As<Napi::Boolean>();
    job.background = coarse_runs.data(), job.background_count = background.tails.size();
    job.tail = tails.data();
    if (record) job.mass = mass.data(), job.records = records.data();

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

/// [kv_heads][slots] of a layer, each span in the order of its tokens
std::vector<float> mass_by_token(const wave::Views& views, uint32_t layer, const std::vector<float>& mass) {
    std::vector<float> result = mass;
    for (size_t head = 0; head < mass.size() / std::max<size_t>(1, views.slots(layer)); head++)
        for (const wave::Views::Span& span : views.spans(layer)) {
            const uint16_t* tokens = views.tokens(span.view, layer, static_cast<uint32_t>(head));
            const size_t at = head * views.slots(layer) + span.first;
            for (size_t slot = 0; tokens && slot < span.tokens; slot++)
                result[at + tokens[slot]] = mass[at + slot];
        }
    return result;
}

/// attendViews(paths, {capacity, …job_of}, q, tail, looks, layer): {out, mass} for one look after the other at the segments,
/// each a list of {segment, detail (exact 0, wave 1, coarse 2), bias, position}; of one token's attention in a layer
Napi::Value attend_views(const Napi::CallbackInfo& call) {
    const Napi::Env env = call.Env();
    std::vector<std::shared_ptr<const wave::Segment>> segments;
    const auto paths = call[0].As<Napi::Array>(), looks = call[4].As<Napi::Array>();
    for (uint32_t i = 0; i < paths.Length(); i++)
        segments.push_back(std::make_shared<const wave::Segment>(paths.Get(i).As<Napi::String>().Utf8Value()));
    const wave::KvShape shape = segments[0]->shape();
    const auto options = call[1].As<Napi::Object>();
    const std::vector<float> q = floats(call[2]);
    const uint32_t layer = call[5].As<Napi::Number>();
    wave::KvShape tail_shape = shape;
    tail_shape.layers = 1;
    const auto tail = make_tail(tail_shape, {call[3].As<Napi::Object>()});
    const std::vector<wave::KvRun> tails = tail_runs(*tail);
    std::vector<float> out;
    wave::AttentionCall job = job_of(options, shape, q, out);
    job.tail = tails.data();
    wave::Attention attention(shape, static_cast<int>(number(options, "queryHeads")), 1);
    const auto buffer =
        std::make_shared<wave::WaveBuffer>(static_cast<size_t>(options.Get("capacity").As<Napi::Number>().Int64Value()));
    wave::Views views(buffer);
    Napi::Array result = Napi::Array::New(env);
    for (uint32_t i = 0; i < looks.Length(); i++) {
        std::vector<wave::View> list;
        for (const Napi::Object& view : objects(looks.Get(i)))
            list.push_back({segments[number(view, "segment")], static_cast<wave::Detail>(number(view, "detail")),
                            view.Get("bias").As<Napi::Number>(),
                            view.Get("position").As<Napi::Number>().Int64Value()});
        views.set(shape, std::move(list));
        views.load();
        job.cache = views.cache(), job.first_head = layer * shape.kv_heads, job.wait = true;
        const std::vector<wave::KvRun>& exact = views.exact(layer);
        const std::vector<wave::CoarseRun>& background = views.background(layer);
        job.exact = exact.data(), job.exact_count = exact.size() / shape.kv_heads;
        job.wave = views.wave(layer).data(), job.wave_count = views.wave(layer).size() / shape.kv_heads;
        job.background = background.data(), job.background_count = background.size() / shape.kv_heads;
        std::vector<float> mass(shape.kv_heads * views.slots(layer));
        job.mass = mass.data();
        run_threads(attention, job, 1);
        Napi::Object seen = Napi::Object::New(env);
        seen["out"] = array_of(env, out);
        seen["mass"] = array_of(env, mass_by_token(views, layer, mass));
        result[i] = seen;
    }
    return result;
}

} // namespace

void add_attention(Napi::Object exports) {
    exports["attend"] = Napi::Function::New(exports.Env(), attend);
    exports["attendViews"] = Napi::Function::New(exports.Env(), attend_views);
}

} // namespace values
