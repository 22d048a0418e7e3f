#include "wrappers.h"

namespace repowave::addon {

void SegmentWrap::define(Napi::Env env) {
    classes(env).segment = Napi::Persistent(DefineClass(
        env, "NativeSegment",
        {InstanceAccessor<&SegmentWrap::tokens>("tokens"), InstanceAccessor<&SegmentWrap::bytes>("bytes"),
         InstanceAccessor<&SegmentWrap::index_bytes>("indexBytes"),
         InstanceAccessor<&SegmentWrap::meta>("meta"), InstanceMethod<&SegmentWrap::close>("close")}));
}

Napi::Value SegmentWrap::open(const Napi::CallbackInfo& call) {
    try {
        auto segment = std::make_shared<const wave::Segment>(call[0].As<Napi::String>());
        Napi::Object object = classes(call.Env()).segment.New({});
        Unwrap(object)->segment = std::move(segment);
        return object;
    } catch (const Napi::Error&) {
        throw;
    } catch (const std::exception& error) {
        throw to_js_error(call.Env(), error_code(error), error.what());
    }
}

Napi::Value SegmentWrap::verify(const Napi::CallbackInfo& call) {
    std::string path = call[0].As<Napi::String>();
    return Task::start(
        call.Env(), call.This().As<Napi::Object>(), [path] { wave::Segment(path).verify(); },
        [](Napi::Env env) -> Napi::Value { return env.Undefined(); });
}

SegmentWrap::SegmentWrap(const Napi::CallbackInfo& info) : ObjectWrap(info) {}

const wave::Segment& SegmentWrap::get(Napi::Env env) const {
    if (!segment) throw to_js_error(env, "Internal", "the segment is closed");
    return *segment;
}

Napi::Value SegmentWrap::tokens(const Napi::CallbackInfo& call) {
    return Napi::Number::New(call.Env(), static_cast<double>(get(call.Env()).tokens()));
}

Napi::Value SegmentWrap::bytes(const Napi::CallbackInfo& call) {
    return Napi::Number::New(call.Env(), static_cast<double>(get(call.Env()).kv_bytes()));
}

Napi::Value SegmentWrap::index_bytes(const Napi::CallbackInfo& call) {
    return Napi::Number::New(call.Env(), static_cast<double>(get(call.Env()).index_bytes()));
}

Napi::Value SegmentWrap::meta(const Napi::CallbackInfo& call) {
    return Napi::String::New(call.Env(), get(call.Env()).meta());
}

/// A session that still looks at the segment keeps it alive.
void SegmentWrap::close(const Napi::CallbackInfo&) {
    segment.reset();
}

} // namespace repowave::addon
