/**
 * Bytes of weights that one thread works through per second of prefill, by instruction set: the 0.5B model makes 88
 * tokens per second on two threads (README.md), and about as many with AVX2. Without vectors it is a tenth.
 */
const WEIGHT_BYTES_PER_SECOND: Record<string, number> = { avx512: 21.6e9, avx2: 21.6e9 };
const WITHOUT_VECTORS = 2.2e9;

/**
 * Tokens of prefill per second that a model with so many bytes of weights will make: every token passes all weights
 * once, and prefill is bound by arithmetic. Good to a factor of two; what a first read measures is better.
 */
export function predictPrefillRate(modelBytes: number, threads: number, isa: string): number {
  return (threads * (WEIGHT_BYTES_PER_SECOND[isa] ?? WITHOUT_VECTORS)) / modelBytes;
}
