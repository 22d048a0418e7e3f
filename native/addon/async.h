// Work off the JavaScript thread, with a promise for its result.
#pragma once

#include "../llama/session.h"

#include <functional>
#include <napi.h>
#include <string>

namespace repowave::addon {

/// The `code` of an error thrown to JavaScript (NativeErrorCode in backend/engine/native.ts).
std::string error_code(const std::exception& error);

Napi::Error to_js_error(Napi::Env env, const std::string& code, const std::string& message);

/// Runs `work` on another thread, then `finish` on this one to make the promise's value. `owner` stays alive
/// meanwhile.
class Task : public Napi::AsyncWorker {
  public:
    using Finish = std::function<Napi::Value(Napi::Env)>;

    static Napi::Promise start(Napi::Env env, Napi::Object owner, std::function<void()> work, Finish finish,
                               std::function<void()> settled = {}) {
        auto* task = new Task(env, owner, std::move(work), std::move(finish), std::move(settled));
        Napi::Promise promise = task->deferred_.Promise();
        task->Queue();
        return promise;
    }

  private:
    Task(Napi::Env env, Napi::Object owner, std::function<void()> work, Finish finish,
         std::function<void()> settled)
        : AsyncWorker(env, "repowave"), deferred_(Napi::Promise::Deferred::New(env)),
          owner_(Napi::Persistent(owner)), work_(std::move(work)), finish_(std::move(finish)),
          settled_(std::move(settled)) {}

    void Execute() override {
        try {
            work_();
        } catch (const std::exception& error) {
            code_ = error_code(error);
            SetError(error.what());
        }
    }
    void OnOK() override {
        if (settled_) settled_();
        try {
            deferred_.Resolve(finish_(Env()));
        } catch (const Napi::Error& error) {
            deferred_.Reject(error.Value());
        } catch (const std::exception& error) {
            deferred_.Reject(to_js_error(Env(), error_code(error), error.what()).Value());
        }
    }
    void OnError(const Napi::Error& error) override {
        if (settled_) settled_();
        deferred_.Reject(to_js_error(Env(), code_, error.Message()).Value());
    }

    Napi::Promise::Deferred deferred_;
    Napi::ObjectReference owner_;
    std::function<void()> work_;
    Finish finish_;
    std::function<void()> settled_;
    std::string code_;
};

} // namespace repowave::addon
