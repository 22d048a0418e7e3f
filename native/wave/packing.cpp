#include "packing.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace wave {
namespace {

constexpr float kSteps = 127;

void to_floats(DType type, const uint8_t* from, float* to, size_t n) {
    if (type == DType::f16)
        kernels().from_f16(reinterpret_cast<const uint16_t*>(from), to, n);
    else
        std::memcpy(to, from, n * sizeof(float));
}

void from_floats(DType type, const float* from, uint8_t* to, size_t n) {
    if (type == DType::f16)
        kernels().to_f16(from, reinterpret_cast<uint16_t*>(to), n);
    else
        std::memcpy(to, from, n * sizeof(float));
}

/// The keys or the values: d elements of each slot from `first` on. @returns the step
float pack_part(const std::vector<float>& mean, size_t first, size_t d, size_t tokens, std::vector<float>& x,
                uint8_t* rows) {
    const size_t row = mean.size();
    float largest = 0;
    for (size_t t = 0; t < tokens; t++)
        for (size_t i = first; i < first + d; i++) {
            x[t * row + i] -= mean[i];
            largest = std::max(largest, std::fabs(x[t * row + i]));
        }
    const float step = largest / kSteps, inverse = step > 0 ? 1 / step : 0;
    for (size_t t = 0; t < tokens; t++)
        for (size_t i = first; i < first + d; i++)
            rows[t * row + i] = static_cast<uint8_t>(
                static_cast<int8_t>(std::clamp(std::nearbyintf(x[t * row + i] * inverse), -kSteps, kSteps)));
    return step;
}

} // namespace

void pack(const KvShape& shape, const uint8_t* slots, size_t tokens, uint8_t* to) {
    const size_t row = shape.slot_elements();
    std::vector<float> x(tokens * row), mean(row);
    to_floats(shape.type, slots, x.data(), x.size());
    std::vector<double> sum(row);
    for (size_t t = 0; t < tokens; t++)
        for (size_t i = 0; i < row; i++) sum[i] += x[t * row + i];
    for (size_t i = 0; i < row; i++) mean[i] = static_cast<float>(sum[i] / static_cast<double>(tokens));
    uint8_t* means = to + sizeof(PackHeader);
    from_floats(shape.type, mean.data(), means, row);
    to_floats(shape.type, means, mean.data(), row); // as they are read
    PackHeader header{static_cast<uint32_t>(tokens), 0, 0};
    header.key_step = pack_part(mean, 0, shape.dk, tokens, x, to + pack_front(shape));
    header.value_step = pack_part(mean, shape.dk, shape.dv, tokens, x, to + pack_front(shape));
    std::memcpy(to, &header, sizeof header);
}

void unpack(const KvShape& shape, const uint8_t* front, const uint8_t* rows, size_t tokens, uint8_t* to) {
    PackHeader header;
    std::memcpy(&header, front, sizeof header);
    const uint8_t* means = front + sizeof header;
    for (size_t t = 0; t < tokens; t++) {
        kernels().from_steps(rows, header.key_step, shape.type, means, to, shape.dk);
        kernels().from_steps(rows + shape.dk, header.value_step, shape.type, means + shape.key_bytes(),
                             to + shape.key_bytes(), shape.dv);
        rows += shape.slot_elements(), to += shape.slot_bytes();
    }
}

} // namespace wave
