#include "wrappers.h"

namespace repowave::addon {

void SessionWrap::define(Napi::Env env) {
    classes(env).session = Napi::Persistent(DefineClass(
        env, "NativeSession",
        {InstanceMethod<&SessionWrap::reset>("reset"), InstanceMethod<&SessionWrap::forward>("forward"),
         InstanceMethod<&SessionWrap::cancel>("cancel"), InstanceMethod<&SessionWrap::logits>("logits"),
         InstanceMethod<&SessionWrap::truncate>("truncate"),
         InstanceAccessor<&SessionWrap::tail_tokens>("tailTokens"),
         InstanceMethod<&SessionWrap::save>("save"),
         InstanceMethod<&SessionWrap::start_evidence>("startEvidence"),
         InstanceMethod<&SessionWrap::take_evidence>("takeEvidence"),
         InstanceMethod<&SessionWrap::close>("close")}));
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
    try {
        auto session = std::make_shared<Session>(model, params);
        Napi::Object object = classes(call.Env()).session.New({});
        Unwrap(object)->session_ = std::move(session);
        return object;
    } catch (const Napi::Error&) {
        throw;
    } catch (const std::exception& error) {
        throw to_js_error(call.Env(), error_code(error), error.what());
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

void SessionWrap::reset(const Napi::CallbackInfo& call) {
    Session& session = idle(call.Env());
    const auto list = call[0].As<Napi::Array>();
    std::vector<View> views;
    for (uint32_t i = 0; i < list.Length(); i++) {
        const auto view = list.Get(i).As<Napi::Object>();
        const auto& segment = SegmentWrap::Unwrap(view.Get("segment").As<Napi::Object>())->segment;
        if (!segment) throw to_js_error(call.Env(), "Internal", "a segment is closed");
        views.push_back({segment, view.Get("bias").As<Napi::Number>()});
    }
    try {
        session.reset(std::move(views));
    } catch (const std::exception& error) {
        throw to_js_error(call.Env(), error_code(error), error.what());
    }
}

Napi::Value SessionWrap::forward(const Napi::CallbackInfo& call) {
    Session& session = idle(call.Env());
    const auto array = call[0].As<Napi::Int32Array>();
    std::vector<llama_token> tokens(array.Data(), array.Data() + array.ElementLength());
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
    const std::vector<float>& logits = idle(call.Env()).logits();
    Napi::Float32Array array = Napi::Float32Array::New(call.Env(), logits.size());
    std::copy(logits.begin(), logits.end(), array.Data());
    return array;
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
        call.Env(), [held = session_, path, meta] { wave::write_segment(path, held->tail(), meta); },
        [](Napi::Env env) -> Napi::Value { return env.Undefined(); });
}

void SessionWrap::start_evidence(const Napi::CallbackInfo& call) {
    idle(call.Env()).start_evidence();
}

Napi::Value SessionWrap::take_evidence(const Napi::CallbackInfo& call) {
    const auto evidence = idle(call.Env()).take_evidence();
    Napi::Array result = Napi::Array::New(call.Env(), evidence.size());
    for (uint32_t i = 0; i < evidence.size(); i++) {
        Napi::Float32Array mass = Napi::Float32Array::New(call.Env(), evidence[i].size());
        std::copy(evidence[i].begin(), evidence[i].end(), mass.Data());
        result[i] = mass;
    }
    return result;
}

/// Work under way keeps the session until it is done.
void SessionWrap::close(const Napi::CallbackInfo&) {
    if (session_) session_->cancel();
    session_.reset();
}

} // namespace repowave::addon
