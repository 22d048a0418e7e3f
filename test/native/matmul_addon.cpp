// Products with quantised weights, for the tests in TypeScript.
#include "addon_values.h"

#include "kernels/matmul.h"

namespace values {
namespace {

wave::WeightFormat format_named(const std::string& name) {
    const std::pair<const char*, wave::WeightFormat> formats[] = {
        {"q4_1", wave::WeightFormat::q4_1}, {"q5_0", wave::WeightFormat::q5_0},
        {"q5_1", wave::WeightFormat::q5_1}, {"q8_0", wave::WeightFormat::q8_0},
        {"q4_K", wave::WeightFormat::q4_K}, {"q5_K", wave::WeightFormat::q5_K}};
    for (const auto& [each, format] : formats)
        if (name == each) return format;
    return wave::WeightFormat::q6_K;
}

/// hasMatmul(): whether this processor has the kernels.
Napi::Value has_matmul(const Napi::CallbackInfo& call) {
    return Napi::Boolean::New(call.Env(), wave::matmul_kernels() != nullptr);
}

/// multiplyQuantized(format, rows of a panel, columns, x [tokens][columns]): [tokens][kPanelRows]
Napi::Value multiply_quantized(const Napi::CallbackInfo& call) {
    const wave::WeightFormat format = format_named(call[0].As<Napi::String>());
    const auto rows = call[1].As<Napi::Uint8Array>();
    const int columns = call[2].As<Napi::Number>();
    const std::vector<float> x = floats(call[3]);
    const size_t tokens = x.size() / columns;
    std::vector<int8_t> values(x.size());
    std::vector<float> scales(x.size() / wave::kActivationBlock), sums(x.size() / wave::values_per_scale(format));
    const wave::PackedTokens packed{values.data(), scales.data(), sums.data()};
    for (size_t t = 0; t < tokens; t++)
        wave::matmul_kernels()->pack(x.data() + t * columns, columns, format, packed, t);
    std::vector<float> out(tokens * wave::kPanelRows);
    const wave::AlignedBytes scratch = wave::aligned_bytes(wave::matmul_scratch_bytes(columns));
    wave::matmul_kernels()->multiply({format, rows.Data(), rows.ByteLength() / wave::kPanelRows, columns}, packed,
                                     tokens, out.data(), wave::kPanelRows, scratch.get());
    return array_of(call.Env(), out);
}

} // namespace

void add_matmul(Napi::Object exports) {
    exports["hasMatmul"] = Napi::Function::New(exports.Env(), has_matmul);
    exports["multiplyQuantized"] = Napi::Function::New(exports.Env(), multiply_quantized);
}

} // namespace values
