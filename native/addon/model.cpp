#include "wrappers.h"

namespace repowave::addon {

void ModelWrap::define(Napi::Env env) {
    classes(env).model = Napi::Persistent(DefineClass(
        env, "NativeModel",
        {InstanceAccessor<&ModelWrap::info>("info"), InstanceMethod<&ModelWrap::tokenize>("tokenize"),
         InstanceMethod<&ModelWrap::piece>("piece"),
         InstanceMethod<&ModelWrap::is_end_of_generation>("isEndOfGeneration"),
         InstanceMethod<&ModelWrap::apply_chat_template>("applyChatTemplate"),
         InstanceMethod<&ModelWrap::close>("close")}));
}

Napi::Value ModelWrap::wrap(Napi::Env env, std::shared_ptr<const Model> model) {
    Napi::Object object = classes(env).model.New({});
    Unwrap(object)->model = std::move(model);
    return object;
}

ModelWrap::ModelWrap(const Napi::CallbackInfo& info) : ObjectWrap(info) {}

const Model& ModelWrap::open(Napi::Env env) const {
    if (!model) throw to_js_error(env, "Internal", "the model is closed");
    return *model;
}

Napi::Value ModelWrap::info(const Napi::CallbackInfo& call) {
    const Model& m = open(call.Env());
    const wave::KvShape& shape = m.kv_shape();
    Napi::Object info = Napi::Object::New(call.Env());
    info["architecture"] = m.architecture();
    info["description"] = m.description();
    info["gpu"] = m.gpu();
    info["layers"] = shape.layers;
    info["queryHeads"] = m.query_heads();
    info["kvHeads"] = shape.kv_heads;
    info["headSize"] = shape.dk;
    info["vocabulary"] = llama_vocab_n_tokens(m.vocab());
    info["trainedContext"] = llama_model_n_ctx_train(m.get());
    info["bytes"] = static_cast<double>(llama_model_size(m.get()));
    info["kvBytesPerToken"] = static_cast<double>(shape.bytes_per_token());
    return info;
}

Napi::Value ModelWrap::tokenize(const Napi::CallbackInfo& call) {
    open(call.Env());
    auto result = std::make_shared<Tokens>();
    std::string text = call[0].As<Napi::String>();
    const bool special = call[1].As<Napi::Boolean>();
    return Task::start(
        call.Env(), call.This().As<Napi::Object>(),
        [=, held = model, text = std::move(text)] { *result = held->tokenize(text, special); },
        [result](Napi::Env env) -> Napi::Value {
            Napi::Int32Array tokens = Napi::Int32Array::New(env, result->tokens.size());
            Napi::Uint32Array ends = Napi::Uint32Array::New(env, result->ends.size());
            std::copy(result->tokens.begin(), result->tokens.end(), tokens.Data());
            std::copy(result->ends.begin(), result->ends.end(), ends.Data());
            Napi::Object object = Napi::Object::New(env);
            object["tokens"] = tokens;
            object["ends"] = ends;
            return object;
        });
}

Napi::Value ModelWrap::piece(const Napi::CallbackInfo& call) {
    const std::string bytes = open(call.Env()).piece(call[0].As<Napi::Number>(), false);
    return Napi::Buffer<char>::Copy(call.Env(), bytes.data(), bytes.size());
}

Napi::Value ModelWrap::is_end_of_generation(const Napi::CallbackInfo& call) {
    return Napi::Boolean::New(call.Env(),
                              llama_vocab_is_eog(open(call.Env()).vocab(), call[0].As<Napi::Number>()));
}

Napi::Value ModelWrap::apply_chat_template(const Napi::CallbackInfo& call) {
    std::vector<ChatMessage> messages;
    const auto list = call[0].As<Napi::Array>();
    for (uint32_t i = 0; i < list.Length(); i++) {
        const auto message = list.Get(i).As<Napi::Object>();
        messages.push_back(
            {message.Get("role").As<Napi::String>(), message.Get("content").As<Napi::String>()});
    }
    return Napi::String::New(call.Env(), open(call.Env()).apply_chat_template(messages));
}

void ModelWrap::close(const Napi::CallbackInfo&) {
    model.reset();
}

} // namespace repowave::addon
