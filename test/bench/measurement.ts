/** One measurement of a model's speed, the same question to both sides. */
export interface Measurement {
  kind: 'decode' | 'prefill';
  /** Tokens already in context before the clock starts. */
  depth: number;
  /** Tokens decoded, or prefilled, while the clock runs. */
  tokens: number;
  /** How often it is repeated in one process, from the same depth. */
  repeats: number;
  threads: number;
  /** Path of the GGUF file. */
  model: string;
}
