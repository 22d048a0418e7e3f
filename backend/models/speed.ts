/**
 * Bytes of weights that one thread works through per second of prefill, by instruction set: on two threads the 0.5B
 * model makes 451 tokens per second (docs/method.md), 200 with llama.cpp's products. Half of these is a guess for AVX2,
 * a tenth of that one for no vectors. Formats that `native/kernels/matmul.h` does not name are as slow as without VNNI.
 */
const WEIGHT_BYTES_PER_SECOND: Record<string, number> = {
  'avx512-vnni': 110e9,
  avx512: 49e9,
  avx2: 21.6e9,
};
const WITHOUT_VECTORS = 2.2e9;

/**
 * Tokens of prefill per second that a model with so many bytes of weights will make: every token passes all weights
 * once, and prefill is bound by arithmetic. Good to a factor of two; what a first read measures is better.
 */
export function predictPrefillRate(modelBytes: number, threads: number, isa: string): number {
  return (threads * (WEIGHT_BYTES_PER_SECOND[isa] ?? WITHOUT_VECTORS)) / modelBytes;
}
