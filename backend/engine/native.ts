/**
 * The addon's interface (native/addon), and how it is found. Arguments are checked here in TypeScript before they
 * cross; what the addon still rejects it throws as an `Error` whose `code` is one of {@link NativeErrorCode}.
 *
 * All work happens on other threads: at most one call per {@link NativeSession} is under way at a time.
 */
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

export type NativeErrorCode =
  | 'ModelCorrupt'
  | 'ModelUnsupported'
  | 'OutOfMemory'
  | 'Cancelled'
  | 'SegmentCorrupt'
  | 'NoSpace'
  | 'Internal';

export interface NativeModelInfo {
  architecture: string;
  description: string;
  layers: number;
  queryHeads: number;
  kvHeads: number;
  headSize: number;
  vocabulary: number;
  trainedContext: number;
  /** Bytes of the weights. */
  bytes: number;
  /** Bytes of K and V per token over all layers, as stored. */
  kvBytesPerToken: number;
}

export interface Tokenized {
  tokens: Int32Array;
  /** End of each token in bytes of the UTF-8 text; never decreasing. */
  ends: Uint32Array;
}

/** The weights, tokenizer and chat template of one GGUF file. */
export interface NativeModel {
  readonly info: NativeModelInfo;
  /** `special`: whether `<|im_start|>` and the like become control tokens. */
  tokenize(text: string, special: boolean): Promise<Tokenized>;
  /** The UTF-8 bytes of one token; control tokens give none. */
  piece(token: number): Buffer;
  isEndOfGeneration(token: number): boolean;
  /** The model's own chat template, with the assistant's turn opened. */
  applyChatTemplate(messages: { role: string; content: string }[]): string;
  close(): void;
}

/** A stored segment: the K/V of `tokens` tokens on disk, mapped into memory. */
export interface NativeSegment {
  readonly tokens: number;
  /** Bytes of K/V in the file. */
  readonly bytes: number;
  /** The JSON text that was saved with it. */
  readonly meta: string;
  close(): void;
}

export interface SessionOptions {
  threads: number;
  /** How K and V are kept: f16 is the product's, f32 is for comparing with llama.cpp to the last digits. */
  kvType?: 'f16' | 'f32';
  /** Most tokens of one forward pass. */
  batch?: number;
}

/** What attention sees beside the session's own tail. */
export interface View {
  segment: NativeSegment;
  /** Added to every attention logit of the segment: 0 is plain attention. */
  bias: number;
}

/**
 * One sequence being computed: `views` (stored, shared, read only) followed by the **tail**, the K/V of the tokens
 * that this session has computed itself.
 */
export interface NativeSession {
  /** Forget the tail and look at these stored segments from now on, which all precede the tail. */
  reset(views: View[]): void;
  /**
   * Run the tokens through the model at positions `position`, `position + 1`, …: their K/V join the tail, each sees
   * all views and the tail up to itself. Resolves to the greedy next token when `sample`, else to -1.
   * Rejects with `Cancelled` soon after `cancel()`; the tail is then as before the call.
   */
  forward(tokens: Int32Array, position: number, sample: boolean): Promise<number>;
  /** Make the forward pass under way stop, within one layer's computation. */
  cancel(): void;
  /** The logits of the last sampled position. */
  logits(): Float32Array;
  /** Keep only the first `tokens` tokens of the tail. */
  truncate(tokens: number): void;
  readonly tailTokens: number;
  /** Write the tail as a segment file: temporary name, fsync, rename. `meta` is JSON text kept with it. */
  save(path: string, meta: string): Promise<void>;
  /** From now on sum up which stored tokens forward passes with `sample` attend to. */
  startEvidence(): void;
  /** Per view, the attention mass of each of its tokens since `startEvidence`, averaged over heads and steps. */
  takeEvidence(): Float32Array[];
  close(): void;
}

export interface NativeAddon {
  /** What the kernels run on: avx512, avx2 or scalar. */
  readonly isa: string;
  readonly llamaVersion: string;
  loadModel(path: string, onProgress: (share: number) => void): Promise<NativeModel>;
  createSession(model: NativeModel, options: SessionOptions): NativeSession;
  /** Maps a segment file; throws `SegmentCorrupt` for one that is torn, foreign or of another version. */
  openSegment(path: string): NativeSegment;
}

let addon: NativeAddon | undefined;

/** Loads the addon from beside the bundle, `dist/native/`; `REPOWAVE_NATIVE` names another file. */
export function loadAddon(): NativeAddon {
  addon ??= createRequire(import.meta.url)(
    process.env.REPOWAVE_NATIVE ?? fileURLToPath(new URL('./native/repowave.node', import.meta.url)),
  ) as NativeAddon;
  return addon;
}
