/**
 * The addon's interface (native/addon), and how it is found. Arguments are checked here in TypeScript before they
 * cross; what the addon still rejects it throws as an `Error` whose `code` is one of {@link NativeErrorCode}.
 *
 * All work happens on other threads: at most one call per {@link NativeSession} is under way at a time.
 */
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import type { KvForm } from '../protocol.ts';

export type NativeErrorCode =
  | 'ModelCorrupt'
  | 'ModelUnsupported'
  /** The weights cannot be on the GPU; without one they may load. */
  | 'GpuProblem'
  | 'OutOfMemory'
  | 'Cancelled'
  | 'SegmentCorrupt'
  | 'NoSpace'
  /** The segments looked at do not fit into {@link NativeAddon.setCapacity}. */
  | 'NoRoom'
  | 'Internal';

export interface NativeModelInfo {
  architecture: string;
  description: string;
  /** The name of the GPU that has the weights; empty when the processor has. */
  gpu: string;
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

/** A stored segment: the K/V of `tokens` tokens on disk, read as far as it is looked at. */
export interface NativeSegment {
  readonly tokens: number;
  /** Bytes of K/V in the file. */
  readonly bytes: number;
  /** Bytes of its wave index in the file. */
  readonly indexBytes: number;
  /** The JSON text that was saved with it. */
  readonly meta: string;
  close(): void;
}

export interface SessionOptions {
  threads: number;
  /** How K and V are kept in memory: f16 is the product's, f32 is for comparing with llama.cpp to the last digits. */
  kvType?: 'f16' | 'f32';
  /**
   * How `save` keeps K and V on disk: as they are (the default), or in eight bits per element around the means of
   * clusters, in about half of the bytes. Both are read alike.
   */
  stored?: KvForm;
  /** Most tokens of one forward pass. */
  batch?: number;
  /**
   * Where passes of one token attend: `librepowave_cuda.so`, and how many bytes of the device it may take (0: most of
   * what is free). Where that cannot be had the processor attends, see {@link NativeSession.device}.
   */
  cuda?: { library: string; bytes: number };
}

/**
 * How closely attention looks at a stored segment. `exact`: every token. `wave`: tripartite, the best clusters exactly
 * and all others estimated (RetroInfer, section 4.2). `coarse`: estimated from one summary per some 256 tokens.
 * Passes of more than one token (prefill, the question) look at `wave` views with {@link Budget.passTokens}.
 */
export type Detail = 'exact' | 'wave' | 'coarse';

/** What attention sees beside the session's own tail. */
export interface View {
  segment: NativeSegment;
  detail: Detail;
  /** Added to every attention logit of the segment: 0 is plain attention. */
  bias: number;
  /** Position of the segment's first token; sliding-window layers see what is near the query only. */
  position: number;
}

/** How much of the `wave` views is attended exactly, per layer and KV head. */
export interface Budget {
  /** Share of their tokens, 0 … 1, … */
  share: number;
  /** … but at least so many tokens. */
  tokens: number;
  /** The same floor for a pass of several tokens, which share one selection. */
  passTokens: number;
  /** Whether clusters that are not retrieved are estimated; else they are left out. */
  estimate: boolean;
  /** Whether to wait for clusters that are not in memory (the default); else they are estimated, and read on. */
  wait?: boolean;
}

/** A query head of one layer. */
export type Head = readonly [layer: number, head: number];

/** What attention did since the last `startEvidence`, over passes of one token. */
export interface AttentionReport {
  /** Passes counted, and those in which the model was copying word for word. */
  steps: number;
  copyingSteps: number;
  layers: number;
  kvHeads: number;
  /**
   * [layers][kvHeads][4] share of the attention mass in the steady zone (frame, question, answer, `exact` views), the
   * retrieval zone, the estimation zone and the `coarse` views; mean over query heads and steps. The four sum to 1.
   */
  zones: Float32Array;
  /** [layers][kvHeads] tokens of `wave` views attended exactly, and clusters retrieved; mean over steps. */
  retrievedTokens: Float32Array;
  retrievedClusters: Float32Array;
  /** Tokens and clusters of all `wave` views, per layer and KV head. */
  waveTokens: number;
  waveClusters: number;
  /** Clusters that were chosen and then estimated, since they could not be had; sum over layers, heads and steps. */
  lateClusters: number;
  /** Bytes of K, V and summaries that attention read, mean over steps, all layers and heads. */
  bytesPerStep: number;
  /** Sampled against exact attention over the `wave` views (every 16th step, one layer): */
  samples: number;
  /** Share of the 100 tokens with the most mass that were retrieved. */
  recall: number;
  /** Share of their exact mass that lay in retrieved clusters. */
  captured: number;
}

/** What the device of a session did since the session began. */
export interface DeviceReport {
  /** Its name; empty without one. */
  name: string;
  /** Why it is not used, or not any more; empty while all is well, and without one. */
  problem: string;
  /** What was done on the device: attention of one token of one layer, of several tokens, and layers put into clusters. */
  calls: number;
  passes: number;
  clustered: number;
  /** What it could not do all the same. */
  refused: number;
  /** Clusters that were chosen: on the device already, or brought there; of those, copied first for it to read. */
  hits: number;
  misses: number;
  staged: number;
  /** Clusters that went for others; that were brought before they were chosen; and of those, chosen later. */
  evicted: number;
  prefetched: number;
  foreseen: number;
  /** Bytes of what views show whole and in outline, and of where it lies. */
  copied: number;
  /** Taken of its memory. */
  bytes: number;
  /**
   * With weights and attention on one GPU: of single tokens, the queries, K, V and results that went through the host's
   * memory all the same.
   */
  throughHost: number;
}

/** One step, means over layers and heads: the share of the mass per zone, and clusters retrieved. */
export interface StepRecord {
  steady: number;
  retrieved: number;
  estimated: number;
  coarse: number;
  clusters: number;
  copying: boolean;
}

/**
 * One sequence being computed: `views` (stored, shared, read only) followed by the **tail**, the K/V of the tokens
 * that this session has computed itself.
 */
export interface NativeSession {
  /** Forget the tail and look at these stored segments from now on, which all precede the tail. */
  reset(views: View[]): void;
  /** Look at these instead and keep the tail. Cheap when only details and biases change. */
  look(views: View[]): void;
  setBudget(budget: Budget): void;
  /**
   * Run the tokens through the model at positions `position`, `position + 1`, …: their K/V join the tail, each sees
   * all views and the tail up to itself. Resolves to the greedy next token when `sample`, else to -1.
   * Rejects with `Cancelled` soon after `cancel()`; the tail is then as before the call. The first one after `reset` or
   * `look` reads what it needs of the segments: rejects with `NoRoom`, or with `SegmentCorrupt` (the message names the
   * file), and can be tried again.
   */
  forward(tokens: Int32Array, position: number, sample: boolean): Promise<number>;
  /** Make the forward pass under way stop, within one layer's computation. */
  cancel(): void;
  /** The logits of the last sampled position. */
  logits(): Float32Array;
  /** Keep only the first `tokens` tokens of the tail. */
  truncate(tokens: number): void;
  readonly tailTokens: number;
  /** From now on keep the queries of these heads for `headMass`; none stops it. */
  watch(heads: readonly Head[]): void;
  /** Run the tokens only as far as the watched heads need, keep their queries, and leave the tail as it was. */
  probe(tokens: Int32Array, position: number): Promise<void>;
  /**
   * The kept queries against the exact stored keys: [heads][segments] share of each head's attention mass, summed over
   * the queries, that each segment gets when it competes with the others given alone. The queries are forgotten.
   */
  headMass(segments: NativeSegment[]): Promise<Float32Array>;
  /** Write the tail, its wave index built on the way, as a segment file: temporary name, fsync, rename. */
  save(path: string, meta: string): Promise<void>;
  /** Seconds that the last `save` took for the index and for the disk. */
  saveSeconds(): { index: number; disk: number };
  /** From now on sum up which stored tokens passes of one token attend to. */
  startEvidence(): void;
  /**
   * Per view, the attention mass of each of its tokens since `startEvidence` or the last call, averaged over heads and
   * steps; 0 for tokens that were only estimated, and no elements for `coarse` views. Call it before `look`, which
   * forgets what was not taken. The report goes on.
   */
  takeEvidence(): Float32Array[];
  /** Of the last pass of one token. */
  stepRecord(): StepRecord;
  attentionReport(): AttentionReport;
  device(): DeviceReport;
  close(): void;
}

/** What this process keeps in memory of stored segments, in bytes, and what the block cache did, in clusters. */
export interface NativeMemory {
  /** The most that all of it may take. */
  capacity: number;
  /** K and V of `exact` views, the indexes of `wave` views, the summaries of `coarse` ones. */
  exact: number;
  index: number;
  background: number;
  /** The block cache, which gets what is left: clusters of `wave` views. */
  cacheCapacity: number;
  cacheUsed: number;
  hits: number;
  misses: number;
  /** Read ahead. */
  prefetched: number;
  /** Misses that were estimated: not there in time, or no room; and unreadable or damaged on disk. */
  late: number;
  damaged: number;
  /** Read from segment files since the start. */
  bytesRead: number;
  /** Taken of the memory of devices, beside the cap. */
  device: number;
}

/** What was found for the CUDA kernels (native/addon/cuda.h). */
export interface CudaReport {
  /** The library of the kernels, whether or not it is there. */
  library: string;
  /** The newest CUDA that the driver knows: 13000 is 13.0; 0 when it was not asked. */
  driver: number;
  /** Why there are no devices; empty when there are. */
  problem: string;
  /** `usable`: whether there are kernels for it; `capability` as in 9.0. */
  devices: { name: string; totalBytes: number; freeBytes: number; capability: string; usable: boolean }[];
}

/** Where all weights of a model go. */
export interface GpuWeights {
  /** One of llama.cpp's, such as `libggml-cuda.so`: its first GPU. */
  plugin: string;
  /**
   * Whether sessions attend on the same GPU ({@link SessionOptions.cuda}): queries, K and V then stay in its memory. Else
   * they go through the host's.
   */
  shared: boolean;
}

export interface NativeAddon {
  /** What the kernels run on: avx512-vnni (with products of weights), avx512, avx2 or scalar. */
  readonly isa: string;
  readonly llamaVersion: string;
  /** Looks for an NVIDIA GPU, each time anew. @param library in place of `librepowave_cuda.so` beside the addon */
  cuda(library?: string): CudaReport;
  loadModel(path: string, onProgress: (share: number) => void, gpu?: GpuWeights): Promise<NativeModel>;
  createSession(model: NativeModel, options: SessionOptions): NativeSession;
  /** Bytes that {@link NativeMemory} may take in all; half of the machine's memory until it is called. */
  setCapacity(bytes: number): void;
  memory(): NativeMemory;
  /** Opens a segment file; throws `SegmentCorrupt` for one that is torn, foreign or of another version. */
  openSegment(path: string): NativeSegment;
  /** Checks every byte of a segment file; rejects with `SegmentCorrupt`. */
  verifySegment(path: string): Promise<void>;
}

let addon: NativeAddon | undefined;

/** Loads the addon from beside the bundle, `dist/native/`; `REPOWAVE_NATIVE` names another file. */
export function loadAddon(): NativeAddon {
  addon ??= createRequire(import.meta.url)(
    process.env.REPOWAVE_NATIVE ?? fileURLToPath(new URL('./native/repowave.node', import.meta.url)),
  ) as NativeAddon;
  return addon;
}
