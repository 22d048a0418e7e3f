#include "kernels.h"
#include "matmul.h"

#include <cstdlib>
#include <cstring>
#include <initializer_list>

namespace wave {

const Kernels* kernels_named(const char* isa) {
    if (std::strcmp(isa, "scalar") == 0) return &kernels_scalar;
#if defined(__x86_64__)
    __builtin_cpu_init();
    const bool avx2 =
        __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
    if (avx2 && std::strcmp(isa, "avx2") == 0) return &kernels_avx2;
    if (avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
        std::strcmp(isa, "avx512") == 0)
        return &kernels_avx512;
#endif
    return nullptr;
}

static const Kernels* choose() {
    if (const char* wanted = std::getenv("REPOWAVE_ISA"))
        if (const Kernels* found = kernels_named(wanted)) return found;
    for (const char* isa : {"avx512", "avx2"})
        if (const Kernels* found = kernels_named(isa)) return found;
    return &kernels_scalar;
}

#if defined(__x86_64__)
extern const MatmulKernels matmul_vnni;
#endif

const MatmulKernels* matmul_kernels() {
#if defined(__x86_64__)
    if (&kernels() == &kernels_avx512 && __builtin_cpu_supports("avx512vnni")) return &matmul_vnni;
#endif
    return nullptr;
}

const Kernels& kernels() {
    static const Kernels* chosen = choose();
    return *chosen;
}

} // namespace wave
