#!/usr/bin/env bash
# For a machine with an NVIDIA GPU and nvcc: the tests, compute-sanitizer, and the benchmark with its gates. Writes what it
# measured to build/cuda/gpu-DATE.jsonl. Needs no network once `npm ci` has run. It has not run on a GPU yet.
# Usage: test/cuda/gpu.sh [tests|sanitize|bench] …   (all three by default)
set -euo pipefail
cd "$(dirname "$0")/../.."
mkdir -p build/cuda
nvidia-smi --query-gpu=name,driver_version,memory.total,pcie.link.gen.current,pcie.link.width.current --format=csv
compile() { nvcc -std=c++20 -O3 -lineinfo -arch=native -I native -x cu "$@"; }

tests() {
    compile native/kernels/cuda/library.cu test/cuda/driver.cu -o build/cuda/driver-gpu
    REPOWAVE_CUDA_DRIVER="$PWD/build/cuda/driver-gpu" node --import tsx --test test/cuda/attention.test.ts
}

sanitize() {
    compile native/kernels/cuda/library.cu test/cuda/driver.cu -o build/cuda/driver-gpu
    for tool in memcheck racecheck synccheck initcheck; do
        printf '#!/bin/sh\nexec compute-sanitizer --tool %s --error-exitcode 9 --log-file build/cuda/%s.log "%s"\n' \
            "$tool" "$tool" "$PWD/build/cuda/driver-gpu" >build/cuda/driver-checked
        chmod +x build/cuda/driver-checked
        echo "compute-sanitizer: $tool"
        REPOWAVE_CUDA_DRIVER="$PWD/build/cuda/driver-checked" node --import tsx --test \
            --test-name-pattern 'hundreds|sinks|cannot be had|moved' test/cuda/attention.test.ts
    done
}

bench() {
    compile test/cuda/bench.cu -o build/cuda/bench-gpu
    local log failed=0
    log="build/cuda/gpu-$(date +%F).jsonl"
    for clusters in 8192 16384 32768 65536; do build/cuda/bench-gpu "$clusters" 100 | tee -a "$log" || failed=1; done
    for hits in 95 93 80 0; do build/cuda/bench-gpu 65536 "$hits" | tee -a "$log"; done
    [ "$failed" = 0 ] || { echo 'scoring or attention stays under 80 % of what copying reaches' >&2; exit 1; }
}

for part in "${@:-tests sanitize bench}"; do
    for each in $part; do "$each"; done
done
