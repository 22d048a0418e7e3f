#include "cuda.h"
#include "wrappers.h"

namespace repowave::addon {

void SessionWrap::define(Napi::Env env) {
    classes(env).session = Napi::Persistent(DefineClass(
        env, "NativeSession",
        {InstanceMethod<&SessionWrap::reset>("reset"), InstanceMethod<&SessionWrap::forward>("forward"),
         InstanceMethod<&SessionWrap::cancel>("cancel"), InstanceMethod<&SessionWrap::logits>("logits"),
         InstanceMethod<&SessionWrap::truncate>("truncate"),
         InstanceAccessor<&SessionWrap::tail_tokens>("tailTokens"),
         InstanceMethod<&SessionWrap::look>("look"), InstanceMethod<&SessionWrap::set_budget>("setBudget"),
         InstanceMethod<&SessionWrap::watch>("watch"), InstanceMethod<&SessionWrap::probe>("probe"),
         InstanceMethod<&SessionWrap::head_mass>("headMass"), InstanceMethod<&SessionWrap::save>("save"),
         InstanceMethod<&SessionWrap::save_seconds>("saveSeconds"),
         InstanceMethod<&SessionWrap::start_evidence>("startEvidence"),
         InstanceMethod<&SessionWrap::take_evidence>("takeEvidence"),
         InstanceMethod<&SessionWrap::step_record>("stepRecord"),
         InstanceMethod<&SessionWrap::attention_report>("attentionReport"),
         InstanceMethod<&SessionWrap::device>("device"), InstanceMethod<&SessionWrap::close>("close")}));
}

Napi::Value SessionWrap::create(const Napi::CallbackInfo& call) {
    const auto& model = ModelWrap::Unwrap(call[0].As<Napi::Object>())->model;
    if (!model) throw to_js_error(call.Env(), "Internal", "the model is closed");
    const auto options = call[1].As<Napi::Object>();
    SessionParams params;
    params.threads = options.Get("threads").As<Napi::Number>();
    if (options.Has("batch")) params.batch = options.Get("batch").As<Napi::Number>();
    if (options.Has("kvType") && options.Get("kvType").As<Napi::String>().Utf8Value() == "f32")
        params.kv_type = wave::DType::f32;
    if (options.Has("stored")) params.packed = options.Get("stored").As<Napi::String>().Utf8Value() == "q8";
    params.buffer = wave_buffer();
    try {
        auto session = std::make_shared<Session>(model, params);
        Napi::Object object = classes(call.Env()).session.New({});
        SessionWrap& wrap = *Unwrap(object);
        wrap.session_ = std::move(session);
        if (options.Has("cuda")) wrap.open_device(options.Get("cuda").As<Napi::Object>(), *model);
        return object;
    } catch (const Napi::Error&) {
        throw;
    } catch (const std::exception& error) {
        throw to_js_error(call.Env(), error_code(error), error.what());
    }
}

/// Without one the processor attends.
void SessionWrap::open_device(const Napi::Object& options, const Model& model) {
    try {
        auto [attention, name] =
            addon::open_device(options.Get("library").As<Napi::String>(),
                               static_cast<size_t>(options.Get("bytes").As<Napi::Number>().Int64Value()),
                               session_->shape(), model.query_heads());
        session_->set_device(std::move(attention));
        device_name_ = name;
    } catch (const CudaProblem& problem) {
        device_problem_ = problem.what();
    }
}

SessionWrap::SessionWrap(const Napi::CallbackInfo& info) : ObjectWrap(info) {}

Session& SessionWrap::idle(Napi::Env env) const {
    if (!session_) throw to_js_error(env, "Internal", "the session is closed");
    if (busy_) throw to_js_error(env, "Internal", "the session is busy");
    return *session_;
}

Napi::Value SessionWrap::start(Napi::Env env, std::function<void()> work, Task::Finish finish) {
    busy_ = true;
    return Task::start(env, Value(), std::move(work), std::move(finish), [this] { busy_ = false; });
}

namespace {

wave::Detail detail_of(const std::string& name) {
    return name == "wave"     ? wave::Detail::wave
           : name == "coarse" ? wave::Detail::coarse
                              : wave::Detail::exact;
}

const std::shared_ptr<const wave::Segment>& segment_of(Napi::Env env, const Napi::Value& value) {
    const auto& segment = SegmentWrap::Unwrap(value.As<Napi::Object>())->segment;
    if (!segment) throw to_js_error(env, "Internal", "a segment is closed");
    return segment;
}

std::vector<wave::View> views_of(Napi::Env env, const Napi::Array& list) {
    std::vector<wave::View> views;
    for (uint32_t i = 0; i < list.Length(); i++) {
        const auto view = list.Get(i).As<Napi::Object>();
        views.push_back(
            {segment_of(env, view.Get("segment")), detail_of(view.Get("detail").As<Napi::String>()),
             view.Get("bias").As<Napi::Number>(), view.Get("position").As<Napi::Number>().Int64Value()});
    }
    return views;
}

std::vector<llama_token> tokens_of(const Napi::Value& value) {
    const auto array = value.As<Napi::Int32Array>();
    return {array.Data(), array.Data() + array.ElementLength()};
}

Napi::Float32Array floats(Napi::Env env, const std::vector<float>& values) {
    Napi::Float32Array array = Napi::Float32Array::New(env, values.size());
    std::copy(values.begin(), values.end(), array.Data());
    return array;
}

} // namespace

void SessionWrap::show(const Napi::CallbackInfo& call, void (Session::*change)(std::vector<wave::View>)) {
    Session& session = idle(call.Env());
    try {
        (session.*change)(views_of(call.Env(), call[0].As<Napi::Array>()));
    } catch (const Napi::Error&) {
        throw;
    } catch (const std::exception& error) {
        throw to_js_error(call.Env(), error_code(error), error.what());
    }
}

void SessionWrap::reset(const Napi::CallbackInfo& call) {
    show(call, &Session::reset);
}

void SessionWrap::look(const Napi::CallbackInfo& call) {
    show(call, &Session::look);
}

void SessionWrap::set_budget(const Napi::CallbackInfo& call) {
    const auto given = call[0].As<Napi::Object>();
    Budget budget;
    budget.share = given.Get("share").As<Napi::Number>();
    budget.tokens = given.Get("tokens").As<Napi::Number>().Uint32Value();
    budget.pass_tokens = given.Get("passTokens").As<Napi::Number>().Uint32Value();
    budget.estimate = given.Get("estimate").As<Napi::Boolean>();
    if (given.Has("wait")) budget.wait = given.Get("wait").As<Napi::Boolean>();
    idle(call.Env()).set_budget(budget);
}

Napi::Value SessionWrap::forward(const Napi::CallbackInfo& call) {
    Session& session = idle(call.Env());
    std::vector<llama_token> tokens = tokens_of(call[0]);
    const int position = call[1].As<Napi::Number>();
    const bool sample = call[2].As<Napi::Boolean>();
    session.arm();
    auto next = std::make_shared<llama_token>(-1);
    return start(
        call.Env(),
        [=, held = session_, tokens = std::move(tokens)] { *next = held->forward(tokens, position, sample); },
        [next](Napi::Env env) -> Napi::Value { return Napi::Number::New(env, *next); });
}

void SessionWrap::cancel(const Napi::CallbackInfo&) {
    if (session_) session_->cancel();
}

Napi::Value SessionWrap::logits(const Napi::CallbackInfo& call) {
    return floats(call.Env(), idle(call.Env()).logits());
}

void SessionWrap::watch(const Napi::CallbackInfo& call) {
    const auto list = call[0].As<Napi::Array>();
    std::vector<Head> heads;
    for (uint32_t i = 0; i < list.Length(); i++) {
        const auto head = list.Get(i).As<Napi::Array>();
        heads.push_back({head.Get(0u).As<Napi::Number>(), head.Get(1u).As<Napi::Number>()});
    }
    idle(call.Env()).watch(heads);
}

Napi::Value SessionWrap::probe(const Napi::CallbackInfo& call) {
    Session& session = idle(call.Env());
    session.arm();
    return start(
        call.Env(),
        [held = session_, tokens = tokens_of(call[0]), position = call[1].As<Napi::Number>().Int32Value()] {
            held->probe(tokens, position);
        },
        [](Napi::Env env) -> Napi::Value { return env.Undefined(); });
}

Napi::Value SessionWrap::head_mass(const Napi::CallbackInfo& call) {
    idle(call.Env());
    const auto list = call[0].As<Napi::Array>();
    std::vector<std::shared_ptr<const wave::Segment>> segments;
    for (uint32_t i = 0; i < list.Length(); i++) segments.push_back(segment_of(call.Env(), list.Get(i)));
    auto mass = std::make_shared<std::vector<float>>();
    return start(
        call.Env(), [=, held = session_] { *mass = held->head_mass(segments); },
        [mass](Napi::Env env) -> Napi::Value { return floats(env, *mass); });
}

void SessionWrap::truncate(const Napi::CallbackInfo& call) {
    idle(call.Env()).truncate(call[0].As<Napi::Number>().Uint32Value());
}

Napi::Value SessionWrap::tail_tokens(const Napi::CallbackInfo& call) {
    return Napi::Number::New(call.Env(), static_cast<double>(idle(call.Env()).tail().tokens()));
}

Napi::Value SessionWrap::save(const Napi::CallbackInfo& call) {
    idle(call.Env());
    std::string path = call[0].As<Napi::String>(), meta = call[1].As<Napi::String>();
    return start(
        call.Env(), [held = session_, path, meta] { held->save(path, meta); },
        [](Napi::Env env) -> Napi::Value { return env.Undefined(); });
}

Napi::Value SessionWrap::save_seconds(const Napi::CallbackInfo& call) {
    const wave::SegmentSeconds& seconds = idle(call.Env()).save_seconds();
    Napi::Object result = Napi::Object::New(call.Env());
    result["index"] = Napi::Number::New(call.Env(), seconds.index);
    result["disk"] = Napi::Number::New(call.Env(), seconds.disk);
    return result;
}

void SessionWrap::start_evidence(const Napi::CallbackInfo& call) {
    idle(call.Env()).start_evidence();
}

Napi::Value SessionWrap::take_evidence(const Napi::CallbackInfo& call) {
    const auto evidence = idle(call.Env()).insight().take_evidence();
    Napi::Array result = Napi::Array::New(call.Env(), evidence.size());
    for (uint32_t i = 0; i < evidence.size(); i++) result[i] = floats(call.Env(), evidence[i]);
    return result;
}

Napi::Value SessionWrap::step_record(const Napi::CallbackInfo& call) {
    const wave::StepRecord& step = idle(call.Env()).insight().last_step();
    Napi::Object result = Napi::Object::New(call.Env());
    constexpr const char* names[] = {"steady", "retrieved", "estimated", "coarse"};
    for (int zone = 0; zone < wave::kZones; zone++)
        result[names[zone]] = Napi::Number::New(call.Env(), step.zones[zone]);
    result["clusters"] = Napi::Number::New(call.Env(), step.clusters);
    result["copying"] = Napi::Boolean::New(call.Env(), step.copying);
    return result;
}

Napi::Value SessionWrap::device(const Napi::CallbackInfo& call) {
    const wave::DeviceAttention* device = idle(call.Env()).device();
    const wave::DeviceCounters counters = device ? device->counters() : wave::DeviceCounters{};
    Napi::Object result = Napi::Object::New(call.Env());
    result["name"] = device_name_;
    result["problem"] = Napi::String::New(call.Env(), device ? device->failure() : device_problem_);
    const auto set = [&](const char* name, uint64_t value) {
        result[name] = Napi::Number::New(call.Env(), static_cast<double>(value));
    };
    set("calls", counters.calls), set("passes", counters.passes), set("clustered", counters.clustered);
    set("refused", counters.refused);
    set("hits", counters.hits), set("misses", counters.misses);
    set("staged", counters.staged), set("evicted", counters.evicted);
    set("prefetched", counters.prefetched), set("foreseen", counters.foreseen);
    set("copied", counters.copied);
    set("bytes", device ? device->bytes() : 0);
    set("throughHost", idle(call.Env()).through_host());
    return result;
}

Napi::Value SessionWrap::attention_report(const Napi::CallbackInfo& call) {
    Session& session = idle(call.Env());
    const wave::AttentionReport report = session.insight().report();
    Napi::Object result = Napi::Object::New(call.Env());
    const auto set = [&](const char* name, double value) {
        result[name] = Napi::Number::New(call.Env(), value);
    };
    set("steps", static_cast<double>(report.steps));
    set("copyingSteps", static_cast<double>(report.copying_steps));
    set("layers", session.shape().layers);
    set("kvHeads", session.shape().kv_heads);
    set("waveTokens", static_cast<double>(session.views().wave_tokens()));
    set("waveClusters", static_cast<double>(session.views().wave_clusters()));
    set("bytesPerStep", report.bytes_per_step);
    set("lateClusters", static_cast<double>(report.late_clusters));
    set("samples", static_cast<double>(report.samples));
    set("recall", report.recall);
    set("captured", report.captured);
    result["zones"] = floats(call.Env(), report.zones);
    result["retrievedTokens"] = floats(call.Env(), report.retrieved_tokens);
    result["retrievedClusters"] = floats(call.Env(), report.retrieved_clusters);
    return result;
}

/// Work under way keeps the session until it is done.
void SessionWrap::close(const Napi::CallbackInfo&) {
    if (session_) session_->cancel();
    session_.reset();
}

} // namespace repowave::addon
