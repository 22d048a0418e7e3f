#!/usr/bin/env bash
# For a machine with an NVIDIA GPU and nvcc, without a network: the tests on the GPU, sessions of small models that attend
# there, compute-sanitizer, the benchmark of the kernels with its gates, and decoding beside PyTorch's attention. It needs
# `npm ci` to have run, or the kit that `npm run cuda -- kit` makes (build/cuda/kit, with Node and the tests as single
# files). Writes what it measured to build/cuda/gpu-DATE.jsonl. It has not run on a GPU yet.
# Usage: test/cuda/gpu.sh [tests|sessions|sanitize|bench|compare] …   (all by default)
set -euo pipefail
cd "$(dirname "$0")/../.."
built=$PWD/build/cuda
kit=$built/kit
log=$built/gpu-$(date +%F).jsonl
mkdir -p "$built"

compile() { nvcc -std=c++20 -O3 -lineinfo -arch=native -I native -x cu "$@"; }
compile_driver() {
    compile native/kernels/cuda/library.cu test/cuda/driver.cu -o "$built/driver-gpu"
    compile native/kernels/cuda/library.cu test/cuda/passes.cu -o "$built/passes-gpu"
}

# run_tests FILE [OPTION …]: a file of tests, as test/FILE.test.ts or out of the kit.
run_tests() {
    local file=$1
    shift
    if [ ! -d "$kit" ]; then
        node --import tsx --test "$@" "test/$file.test.ts"
        return
    fi
    [ -x "$built/node" ] || { gunzip -c "$kit/node.gz" >"$built/node" && chmod +x "$built/node"; }
    "$built/node" --test "$@" "$kit/test/$file.test.mjs"
}

tests() {
    compile_driver
    REPOWAVE_CUDA_DRIVER=$built/driver-gpu run_tests cuda/attention
    REPOWAVE_CUDA_PASSES=$built/passes-gpu run_tests cuda/passes
}

sessions() {
    compile -Xcompiler=-fPIC -shared native/kernels/cuda/library.cu native/kernels/cuda/devices.cu \
        -o "$built/librepowave_cuda.so"
    REPOWAVE_CUDA_LIBRARY=$built/librepowave_cuda.so run_tests native/emulated-device
    REPOWAVE_CUDA_LIBRARY=$built/librepowave_cuda.so run_tests native/emulated-reading
}

sanitize() {
    compile_driver
    for tool in memcheck racecheck synccheck initcheck; do
        for program in driver passes; do
            printf '#!/bin/sh\nexec compute-sanitizer --tool %s --error-exitcode 9 --log-file "%s.log" "%s"\n' \
                "$tool" "$built/$program-$tool" "$built/$program-gpu" >"$built/$program-checked"
            chmod +x "$built/$program-checked"
        done
        echo "compute-sanitizer: $tool"
        REPOWAVE_CUDA_DRIVER=$built/driver-checked run_tests cuda/attention \
            --test-name-pattern 'hundreds|sinks|cannot be had|moved'
        REPOWAVE_CUDA_PASSES=$built/passes-checked run_tests cuda/passes \
            --test-name-pattern 'sinks|windows|equal tokens|same bits'
    done
}

bench() {
    compile test/cuda/bench.cu -o "$built/bench-gpu"
    local failed=0
    for clusters in 8192 16384 32768 65536; do "$built/bench-gpu" "$clusters" 100 | tee -a "$log" || failed=1; done
    for hits in 95 93 80 0; do "$built/bench-gpu" 65536 "$hits" | tee -a "$log" || failed=1; done
    [ "$failed" = 0 ] || { echo 'scoring, attention or misses stay under 80 % of what copying reaches' >&2; return 1; }
}

compare() {
    python3 -c 'import torch' 2>/dev/null || { echo 'compare: not run, python3 has no PyTorch' >&2; return 0; }
    compile -Xcompiler=-fPIC -shared native/kernels/cuda/library.cu test/cuda/compare.cu -o "$built/compare-gpu.so"
    python3 test/cuda/compare.py "$built/compare-gpu.so" | tee -a "$log"
}

# Each part has its say, whatever the one before it found: as a process of its own, that stops at its first error.
if [ "${1:-}" = --only ]; then
    "$2"
    exit
fi
nvidia-smi --query-gpu=name,driver_version,memory.total,pcie.link.gen.current,pcie.link.width.current --format=csv
failed=()
for part in "${@:-tests sessions sanitize bench compare}"; do
    for each in $part; do bash test/cuda/gpu.sh --only "$each" || failed+=("$each"); done
done
[ ${#failed[@]} = 0 ] || { echo "failed: ${failed[*]}" >&2; exit 1; }
