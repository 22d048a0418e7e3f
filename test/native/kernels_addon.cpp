// Hands the kernels of every instruction set to the tests in TypeScript, and puts the parts of the addon together.
#include "addon_values.h"

#include <cmath>

namespace values {
namespace {

const wave::Kernels& kernels_of(const Napi::Value& isa) {
    return *wave::kernels_named(isa.As<Napi::String>().Utf8Value().c_str());
}

std::vector<uint16_t> halves(const wave::Kernels& kernels, const std::vector<float>& x) {
    std::vector<uint16_t> y(x.size());
    kernels.to_f16(x.data(), y.data(), x.size());
    return y;
}

wave::AlignedBytes scratch_for(int rows, int dk, int dv) {
    return wave::aligned_bytes(wave::attend_scratch_floats(rows, dk, dv) * sizeof(float));
}

/// isas(): the names of the instruction sets that this processor has.
Napi::Value isas(const Napi::CallbackInfo& call) {
    Napi::Array names = Napi::Array::New(call.Env());
    for (const char* isa : {"scalar", "avx2", "avx512"})
        if (wave::kernels_named(isa)) names[names.Length()] = Napi::String::New(call.Env(), isa);
    return names;
}

/// isa(): what this process has settled on.
Napi::Value isa(const Napi::CallbackInfo& call) {
    return Napi::String::New(call.Env(), wave::kernels().isa);
}

/// toF16(isa, Float32Array): Uint16Array
Napi::Value to_f16(const Napi::CallbackInfo& call) {
    return array_of(call.Env(), halves(kernels_of(call[0]), floats(call[1])));
}

/// fromF16(isa, Uint16Array): Float32Array
Napi::Value from_f16(const Napi::CallbackInfo& call) {
    const auto x = call[1].As<Napi::Uint16Array>();
    std::vector<float> y(x.ElementLength());
    kernels_of(call[0]).from_f16(x.Data(), y.data(), y.size());
    return array_of(call.Env(), y);
}

/// fromSteps(isa, steps, step, mean, f16): mean + step * steps, as stored; made in place, the steps at its end
Napi::Value from_steps(const Napi::CallbackInfo& call) {
    const wave::Kernels& kernels = kernels_of(call[0]);
    const auto steps = call[1].As<Napi::Int8Array>();
    const std::vector<float> mean = floats(call[3]);
    const std::vector<uint16_t> half = halves(kernels, mean);
    const auto type = call[4].As<Napi::Boolean>() ? wave::DType::f16 : wave::DType::f32;
    std::vector<uint8_t> y(mean.size() * wave::dtype_size(type));
    uint8_t* const end = y.data() + y.size() - mean.size();
    std::copy_n(reinterpret_cast<const uint8_t*>(steps.Data()), mean.size(), end);
    kernels.from_steps(end, call[2].As<Napi::Number>(), type,
                       type == wave::DType::f16 ? static_cast<const void*>(half.data()) : mean.data(), y.data(),
                       mean.size());
    return read_stored(call.Env(), y.data(), type, mean.size());
}

/// score(isa, {rows, dk, keys, softCap, stride, f16}, q, k): logits [rows][stride]
Napi::Value score(const Napi::CallbackInfo& call) {
    const wave::Kernels& kernels = kernels_of(call[0]);
    const auto options = call[1].As<Napi::Object>();
    const std::vector<float> q = floats(call[2]), k = floats(call[3]);
    const std::vector<uint16_t> half = halves(kernels, k);
    wave::ScoreBlock block{};
    block.q = q.data(), block.rows = number(options, "rows"), block.dk = number(options, "dk");
    block.keys = number(options, "keys"), block.stride = number(options, "stride");
    block.soft_cap = options.Get("softCap").As<Napi::Number>();
    block.type = options.Get("f16").As<Napi::Boolean>() ? wave::DType::f16 : wave::DType::f32;
    block.k = block.type == wave::DType::f16 ? static_cast<const void*>(half.data()) : k.data();
    block.k_stride = block.dk;
    std::vector<float> logits(block.rows * block.stride);
    const wave::AlignedBytes scratch = scratch_for(block.rows, block.dk, 0);
    block.logits = logits.data(), block.scratch = reinterpret_cast<float*>(scratch.get());
    kernels.score(block);
    return array_of(call.Env(), logits);
}

/// weigh(isa, {rows, keys, dv, bias, f16}, logits [rows][keys], biases or null, v): {m, l, o}
Napi::Value weigh(const Napi::CallbackInfo& call) {
    const wave::Kernels& kernels = kernels_of(call[0]);
    const auto options = call[1].As<Napi::Object>();
    const std::vector<float> logits = floats(call[2]), v = floats(call[4]);
    const std::vector<float> biases = call[3].IsNull() ? std::vector<float>{} : floats(call[3]);
    const std::vector<uint16_t> half = halves(kernels, v);
    wave::WeighBlock block{};
    block.rows = number(options, "rows"), block.keys = number(options, "keys"), block.dv = number(options, "dv");
    block.logits = logits.data(), block.stride = block.keys, block.bias = options.Get("bias").As<Napi::Number>();
    block.biases = biases.empty() ? nullptr : biases.data();
    block.type = options.Get("f16").As<Napi::Boolean>() ? wave::DType::f16 : wave::DType::f32;
    block.v = block.type == wave::DType::f16 ? static_cast<const void*>(half.data()) : v.data();
    std::vector<float> m(block.rows, -INFINITY), l(block.rows), o(static_cast<size_t>(block.rows) * block.dv);
    const wave::AlignedBytes scratch = scratch_for(block.rows, 0, block.dv);
    block.m = m.data(), block.l = l.data(), block.o = o.data(), block.scratch = reinterpret_cast<float*>(scratch.get());
    kernels.weigh(block);
    Napi::Object state = Napi::Object::New(call.Env());
    state["m"] = array_of(call.Env(), m), state["l"] = array_of(call.Env(), l), state["o"] = array_of(call.Env(), o);
    return state;
}

/// addMass(isa, logits, biases or null, m, l, mass): mass with the weights added
Napi::Value add_mass(const Napi::CallbackInfo& call) {
    const std::vector<float> logits = floats(call[1]);
    const std::vector<float> biases = call[2].IsNull() ? std::vector<float>{} : floats(call[2]);
    std::vector<float> mass = floats(call[5]);
    kernels_of(call[0]).add_mass(logits.data(), biases.empty() ? nullptr : biases.data(),
                                 call[3].As<Napi::Number>(), call[4].As<Napi::Number>(), mass.data(), mass.size());
    return array_of(call.Env(), mass);
}

/// multiply(isa, a [rows][d], rows, bt [d][columns], columns): [rows][columns]
Napi::Value multiply(const Napi::CallbackInfo& call) {
    const std::vector<float> a = floats(call[1]), bt = floats(call[3]);
    const int rows = call[2].As<Napi::Number>(), columns = call[4].As<Napi::Number>();
    std::vector<float> c(static_cast<size_t>(rows) * columns);
    kernels_of(call[0]).multiply(a.data(), rows, bt.data(), columns, static_cast<int>(a.size()) / rows, c.data());
    return array_of(call.Env(), c);
}

} // namespace

void add_kernels(Napi::Object exports) {
    const Napi::Env env = exports.Env();
    exports["isas"] = Napi::Function::New(env, isas);
    exports["isa"] = Napi::Function::New(env, isa);
    exports["toF16"] = Napi::Function::New(env, to_f16);
    exports["fromF16"] = Napi::Function::New(env, from_f16);
    exports["fromSteps"] = Napi::Function::New(env, from_steps);
    exports["score"] = Napi::Function::New(env, score);
    exports["weigh"] = Napi::Function::New(env, weigh);
    exports["addMass"] = Napi::Function::New(env, add_mass);
    exports["multiply"] = Napi::Function::New(env, multiply);
}

} // namespace values

static Napi::Object initialize(Napi::Env, Napi::Object exports) {
    values::add_kernels(exports);
    values::add_matmul(exports);
    values::add_index(exports);
    values::add_attention(exports);
    return exports;
}

NODE_API_MODULE(kernels_test, initialize)
