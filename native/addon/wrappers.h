// The objects that JavaScript holds; backend/engine/native.ts describes them. Arguments were checked there.
#pragma once

#include "async.h"

namespace repowave::addon {

class ModelWrap : public Napi::ObjectWrap<ModelWrap> {
  public:
    static void define(Napi::Env env);
    static Napi::Value wrap(Napi::Env env, std::shared_ptr<const Model> model);
    explicit ModelWrap(const Napi::CallbackInfo& info);
    std::shared_ptr<const Model> model;

  private:
    const Model& open(Napi::Env env) const;
    Napi::Value info(const Napi::CallbackInfo& info);
    Napi::Value tokenize(const Napi::CallbackInfo& info);
    Napi::Value piece(const Napi::CallbackInfo& info);
    Napi::Value is_end_of_generation(const Napi::CallbackInfo& info);
    Napi::Value apply_chat_template(const Napi::CallbackInfo& info);
    void close(const Napi::CallbackInfo& info);
};

class SegmentWrap : public Napi::ObjectWrap<SegmentWrap> {
  public:
    static void define(Napi::Env env);
    static Napi::Value open(const Napi::CallbackInfo& info);
    static Napi::Value verify(const Napi::CallbackInfo& info);
    explicit SegmentWrap(const Napi::CallbackInfo& info);
    std::shared_ptr<const wave::Segment> segment;

  private:
    const wave::Segment& get(Napi::Env env) const;
    Napi::Value tokens(const Napi::CallbackInfo& info);
    Napi::Value bytes(const Napi::CallbackInfo& info);
    Napi::Value index_bytes(const Napi::CallbackInfo& info);
    Napi::Value meta(const Napi::CallbackInfo& info);
    void close(const Napi::CallbackInfo& info);
};

class SessionWrap : public Napi::ObjectWrap<SessionWrap> {
  public:
    static void define(Napi::Env env);
    static Napi::Value create(const Napi::CallbackInfo& info);
    explicit SessionWrap(const Napi::CallbackInfo& info);

  private:
    /// The session, when nothing is under way on it.
    Session& idle(Napi::Env env) const;
    Napi::Value start(Napi::Env env, std::function<void()> work, Task::Finish finish);
    void show(const Napi::CallbackInfo& info, void (Session::*change)(std::vector<wave::View>));
    void reset(const Napi::CallbackInfo& info);
    void look(const Napi::CallbackInfo& info);
    void set_budget(const Napi::CallbackInfo& info);
    void watch(const Napi::CallbackInfo& info);
    Napi::Value probe(const Napi::CallbackInfo& info);
    Napi::Value head_mass(const Napi::CallbackInfo& info);
    Napi::Value forward(const Napi::CallbackInfo& info);
    void cancel(const Napi::CallbackInfo& info);
    Napi::Value logits(const Napi::CallbackInfo& info);
    void truncate(const Napi::CallbackInfo& info);
    Napi::Value tail_tokens(const Napi::CallbackInfo& info);
    Napi::Value save(const Napi::CallbackInfo& info);
    Napi::Value save_seconds(const Napi::CallbackInfo& info);
    void start_evidence(const Napi::CallbackInfo& info);
    Napi::Value take_evidence(const Napi::CallbackInfo& info);
    Napi::Value step_record(const Napi::CallbackInfo& info);
    void open_device(const Napi::Object& options, const Model& model);
    Napi::Value device(const Napi::CallbackInfo& info);
    Napi::Value attention_report(const Napi::CallbackInfo& info);
    void close(const Napi::CallbackInfo& info);

    std::shared_ptr<Session> session_;
    std::string device_name_, device_problem_; ///< why there is no device
    bool busy_ = false;
};

/// The one of this process, for all its sessions.
const std::shared_ptr<wave::WaveBuffer>& wave_buffer();

/// The constructors of one environment (a worker thread has its own).
struct Classes {
    Napi::FunctionReference model, segment, session;
};
inline Classes& classes(Napi::Env env) {
    return *env.GetInstanceData<Classes>();
}

} // namespace repowave::addon
