/**
 * Everything that is said between the backend and its clients (the extension, the command line, tests):
 * JSON-RPC 2.0 with Content-Length framing over a WebSocket on 127.0.0.1. The first message is LSP's
 * `initialize` with {@link InitializeOptions} as `initializationOptions`; the rest is below.
 */
import { ProgressType, RequestType, RequestType0 } from 'vscode-jsonrpc';

/** Raised when a message changes its meaning. Client and backend must have the same one. */
export const PROTOCOL_VERSION = 3;

/** The one line that the backend prints on stdout when it listens. */
export interface Handshake {
  port: number;
  pid: number;
  protocol: number;
  /** Of a backend that is shared, where another one than the one that was started may answer. */
  token?: string;
}

/** Environment variable with the secret that the client sends as `Authorization: Bearer …`. */
export const TOKEN_VARIABLE = 'REPOWAVE_TOKEN';
/** Environment variable with HOST:PORT to listen on. Default: this machine only, any free port. */
export const LISTEN_VARIABLE = 'REPOWAVE_LISTEN';
/**
 * Environment variable with a file: the backend is shared by all who name the same one. It then lives until its last
 * client has gone, however its parent fares.
 */
export const SHARE_VARIABLE = 'REPOWAVE_SHARE';
/** For how many seconds a shared backend stays without clients: a window that is loaded again finds it warm. */
export const LINGER_VARIABLE = 'REPOWAVE_LINGER';

export interface InitializeOptions {
  protocol: number;
}

// --- errors

/** What can go wrong, as users would tell it apart. The command line exits with the number. */
export const ErrorCode = {
  internal: 1,
  usage: 2,
  repositoryMissing: 3,
  repositoryNotAFolder: 4,
  repositoryEmpty: 5,
  everythingExcluded: 6,
  modelUnknown: 7,
  modelCorrupt: 8,
  modelUnsupported: 9,
  checksumMismatch: 10,
  noSpace: 11,
  download: 12,
  questionEmpty: 13,
  questionTooLong: 14,
  outOfMemory: 15,
  protocolMismatch: 16,
  unauthorized: 17,
  backendUnavailable: 18,
  environment: 19,
  licence: 20,
  cancelled: 130,
} as const;
export type ErrorName = keyof typeof ErrorCode;

/** `data` of every JSON-RPC error response: `message` is one sentence for the user, ending in what to do. */
export interface ErrorData {
  name: ErrorName;
}

// --- progress, streamed through the request's progress token

/**
 * `scan`: files looked at. `verify`: stored segments. `download`: bytes. `load`: the model's weights. `prefill`: tokens of the repository.
 * `total` is absent while unknown. `rate` is in units per second, `etaSeconds` the remaining time.
 */
export interface PhaseProgress {
  kind: 'phase';
  phase: 'scan' | 'download' | 'load' | 'prefill' | 'question' | 'verify';
  /** What is being worked on, for people: a file, a model. */
  detail?: string;
  done: number;
  total?: number;
  rate?: number;
  etaSeconds?: number;
}

/** The context is settled: sent once, before the first word of an answer. */
export interface ContextProgress {
  kind: 'context';
  context: ContextReport;
}

/** The next piece of the answer. */
export interface TextProgress {
  kind: 'text';
  text: string;
  /** So far; absent before the second token. */
  tokensPerSecond?: number;
}

/** What attention has done up to here in the answer, where {@link AskParams.insights} asks for it: a few times a second, and at its end. */
export interface InsightProgress {
  kind: 'insight';
  /** Tokens of the answer so far. */
  tokens: number;
  tokensPerSecond: number;
  attention: AttentionSummary;
  /** Counts are since the start of the backend. */
  memory: MemoryState;
}

export type Progress = PhaseProgress | ContextProgress | TextProgress | InsightProgress;
export const progress = new ProgressType<Progress>();

// --- requests

export type Mode = 'auto' | 'exact' | 'wave';

/** Which repository, read by which model. Paths are absolute. */
export interface RepositoryParams {
  root: string;
  /** An id of the catalogue or the path of a GGUF file. Default: the catalogue's default. */
  model?: string;
  mode?: Mode;
  /** Globs, in .gitignore's syntax. `include` empty means everything. */
  include?: string[];
  exclude?: string[];
  /** The most bytes of K/V to hold in memory. Default: what the machine has. */
  ramBytes?: number;
  /** The most bytes of K/V to hold in the GPU's memory. Default: what it has; without one it means nothing. */
  gpuBytes?: number;
  /** The most bytes that the store may take, of all repositories. Default: half of what it has and what is free. */
  diskBytes?: number;
  /** Files that the user works on, relative to the root, the most important first: they and what they import are read early. */
  focus?: string[];
}

export interface ProgressParams {
  partialResultToken?: string | number;
}

export interface ExcludedFile {
  file: string;
  reason: string;
  /** That an ignore file or `.repowave.json` leaves it out, so that `.repowave.json` can bring it back. */
  ignored?: true;
}

/** What the model has before it when it answers. */
export interface ContextReport {
  tokens: number;
  /** Files in context. */
  files: number;
  excluded: ExcludedFile[];
  /** Share of the snapshot's tokens that is prefilled, 0 … 1. */
  coverage: number;
  /** The token limit of a snapshot. */
  budget: number;
  /** There when some of the stored K/V was made up to measure speed: no answer from it means anything. */
  synthetic?: true;
  /** Files that are to be read and did not fit, with their tokens, estimated; absent when all did. */
  overBudget?: { files: number; tokens: number };
  /** Names the state of the files on disk that this is; two states of a tree have the same one when they are equal. */
  state: string;
}

export interface PrefillReport {
  /** Tokens prefilled by this request; 0 when all was in the store. */
  prefillTokens: number;
  prefillMs: number;
  /** Of `prefillMs`, what building the wave index and writing to the disk took. */
  indexMs: number;
  diskMs: number;
}

/** Memory by tier. The counts are of one request, or since the start of the backend where none is meant. */
export interface MemoryState {
  /** What the backend holds in memory, with all of the weights that the system has mapped in. */
  ramBytes: number;
  /** Of it, what is kept of the stored K/V, its indexes and summaries, and the most that this may be. */
  keptBytes: number;
  capBytes: number;
  gpuBytes: number;
  /** Clusters of tokens that were needed and in memory already, those that were not, and of these the estimated ones. */
  hits: number;
  misses: number;
  estimated: number;
  /** Bytes read from the store, with what was read ahead. */
  readBytes: number;
}

export interface MemoryReport extends MemoryState {
  /** The K/V of this context in the store. */
  diskBytes: number;
}

/** A place in the repository, relative to the root with forward slashes; lines from 1, both ends included. */
export interface Citation {
  file: string;
  startLine: number;
  endLine: number;
  /** Share of the answer's attention mass on source text, 0 … 1. It tells what was read, it proves nothing. */
  mass?: number;
}

/** Lines of a file, relative to the root with forward slashes; from 1, both ends included. */
export type Place = Omit<Citation, 'mass'>;

export interface AskParams extends RepositoryParams, ProgressParams {
  question: string;
  /** What the question is about: these lines are shown to the model, and what is around them gets full attention. */
  place?: Place;
  /** What was asked and answered before, the oldest first. */
  earlier?: { question: string; answer: string }[];
  /** How many segments get full attention: chosen by the question, all of them, or so many. Default: `auto`. */
  gate?: 'auto' | 'off' | number;
  /** What becomes of the segments that the gate did not choose. Default: `estimate`. */
  others?: 'estimate' | 'mask';
  /** Files or folders, relative to the root, that get full attention in any case. */
  pin?: string[];
  /** Files or folders that this question must not see, with the small files that share a segment with them. */
  drop?: string[];
  /** Share of the tokens under tripartite attention that is attended exactly, 0 … 1. Default: 0.02. */
  budget?: number;
  /** Whether what is not attended exactly there is estimated, or left out. Default: true. */
  estimate?: boolean;
  /**
   * What becomes of text that should be attended exactly and is not in memory: the answer waits for it, or it is
   * estimated, counted, and read for the next word. Default: `wait`, with which answers do not depend on memory.
   */
  late?: 'wait' | 'estimate';
  /**
   * What to read before the answer, of what is missing. `all`; `none`: the answer is from what has been read, pinned
   * files and at least one segment; `auto`: all when that is no more than 65,536 tokens, else the 16,384 tokens that
   * matter most to the question. What is left is read afterwards, while the client stays. Default: `auto`.
   */
  wait?: 'auto' | 'all' | 'none';
  /** Whether to report what attention does while the answer is written. */
  insights?: boolean;
  /** What the question is about, where it comes with much else, like an agent's prompt: files are chosen by it. */
  about?: string;
}

/** A run of the repository's text that the gate chose. The list of all files is one without paths, of line 0. */
export interface GateSegment {
  paths: string[];
  /** First line of the first path and last line of the last one. */
  startLine: number;
  endLine: number;
  tokens: number;
  /** What chose it: the question's words, the model's retrieval heads, an import, or the user. */
  reason: 'words' | 'heads' | 'imports' | 'pinned';
  /** Fused reciprocal ranks. */
  score: number;
}

/** A second look that changed what is attended to, after `end` characters of the answer. */
export interface Look {
  end: number;
  added: GateSegment;
  /** What had to go for it. */
  removed: GateSegment | null;
}

export interface GateReport {
  segments: GateSegment[];
  looks: Look[];
  /** How the other segments were attended to: exactly, but turned down; as an outline; or not at all. */
  others: 'exact' | 'coarse' | 'masked';
}

/** Shares of the attention mass; they sum to 1. */
export interface Zones {
  /** Frame, question, answer, and segments attended to exactly. */
  steady: number;
  retrieved: number;
  estimated: number;
  /** Segments seen as an outline. */
  coarse: number;
}

/** What attention did while the answer was written: means over layers, heads and tokens. */
export interface AttentionSummary {
  zones: Zones;
  /** Tokens under tripartite attention, and how many of them were attended exactly. */
  waveTokens: number;
  retrievedTokens: number;
  /** Their clusters, and how many of them were retrieved. */
  waveClusters: number;
  retrievedClusters: number;
  /** Clusters that were chosen and estimated all the same, as they were not there in time: a sum. */
  lateClusters: number;
  bytesPerStep: number;
  /** Sampled against exact attention: share of its 100 strongest tokens retrieved, and of its mass; null when not sampled. */
  recall: number | null;
  captured: number | null;
  samples: number;
  /** Tokens that were written while copying word for word. */
  copyingSteps: number;
  /** By layer and KV head, the share of `waveTokens` that was attended exactly. */
  layers: number[][];
  /** By layer and KV head, the share of the attention mass per zone. */
  mass: Record<keyof Zones, number[][]>;
}

/** One entry per token of the answer. */
export type AttentionSteps = Record<keyof Zones | 'clusters', number[]>;

/** A sentence, list item or block of code of the answer: its range of characters, and what it was read from. */
export interface Passage {
  start: number;
  end: number;
  citations: Citation[];
}

export interface AskResult {
  answer: string;
  /** The strongest first. */
  citations: Citation[];
  context: ContextReport;
  timing: PrefillReport & { ttftMs: number; decodeTokensPerSecond: number };
  memory: MemoryReport;
  /** Why the answer ended: the model was done, or the room for it was used up, or it repeated itself. */
  finish: 'stop' | 'length' | 'repetition';
  /** How the chosen segments were attended to. */
  mode: Exclude<Mode, 'auto'>;
  /** Of the eight files that the question's words point at, those that are not read yet, the likeliest first. */
  missed: string[];
  /** Null when there was nothing to choose, or the gate was off. */
  gate: GateReport | null;
  attention: AttentionSummary;
  steps: AttentionSteps;
  passages: Passage[];
}

/** Finds what a question is about, without an answer. */
export interface FindParams extends RepositoryParams, ProgressParams {
  question: string;
  /** The most segments; chosen by the question when it is absent. */
  limit?: number;
}

export interface FindResult {
  context: ContextReport;
  /** What would get full attention, the best first; empty when all would, as in a small repository. */
  segments: GateSegment[];
  /** Files that the question's words point at, the likeliest first. */
  files: string[];
}

/** A question that was answered, of whose answer one sentence is to be verified. */
export interface VerifyAnswerParams extends AskParams {
  answer: string;
  /** The sentence, as a range of characters of the answer. */
  passage: { start: number; end: number };
  /** What to hide: every segment that holds any of these lines. */
  hide: Place[];
}

/**
 * How likely the model finds the sentence when it sees what the answer saw, and when the segments are hidden. Of a
 * segment that is hidden nothing is left, since no other one was read behind it; the names of its files stay in the
 * question.
 */
export interface VerifyAnswerResult {
  /** Of the sentence. */
  tokens: number;
  /** Log-probabilities of the sentence in nats, summed over its tokens. */
  seen: number;
  hidden: number;
  /** What was hidden: the files of the segments, and their tokens. */
  files: string[];
  hiddenTokens: number;
}

export interface IndexParams extends RepositoryParams, ProgressParams {
  /** Files, relative to the root, to read alone; default: all. Those that are left out change nothing. */
  only?: string[];
}

export interface IndexResult {
  context: ContextReport;
  timing: PrefillReport;
  memory: MemoryReport;
}

export interface ChangesParams extends RepositoryParams, ProgressParams {
  /** Files, relative to the root, with changes that are not on disk. */
  unsaved: string[];
}

/** How a folder differs from what this backend has last read of it; nothing where it has read nothing. */
export interface ChangesReport {
  /** Files that are new, gone or different. */
  changed: string[];
  /** Those of the unsaved files that are in context, or would be. */
  unsaved: string[];
}

export interface PlanParams extends RepositoryParams, ProgressParams {}

export interface PlannedFile {
  file: string;
  tokens: number;
  /** That every question looks at it closely. */
  pinned?: true;
  /** That it does not fit into the budget; `tokens` is then an estimate. */
  over?: true;
}

/** Something to leave out when not all fits: what matters least comes first. */
export interface Saving {
  /** For `out` in `.repowave.json`. */
  pattern: string;
  why: 'vendored' | 'data' | 'translations' | 'docs' | 'examples' | 'tests' | 'large';
  files: number;
  tokens: number;
}

/** What would be read, and what it costs; nothing is read for it. */
export interface PlanReport {
  /** Sorted by path. */
  files: PlannedFile[];
  excluded: ExcludedFile[];
  /** Of all files, also of those that do not fit. */
  tokens: number;
  budget: number;
  /** Whether the model counted; else, while it is not on this machine, all tokens are estimates. */
  counted: boolean;
  /** Enough of them to fit; none when all fits. */
  savings: Saving[];
}

export interface ModelInfo {
  id: string;
  name: string;
  bytes: number;
  /** Its name, with the address of its text where a user must accept it. */
  licence: string;
  /** Address of the licence when it is not open source: the user accepts it before the download. */
  terms: string | null;
  trainedContext: number;
  default: boolean;
  /** Where it lies on this machine, or null when it is not there. */
  path: string | null;
}

export interface DownloadParams extends ProgressParams {
  id: string;
  /** That the user has accepted the model's licence; without it one that is not open source fails with `licence`. */
  acceptLicence?: boolean;
}

export interface ModelParams extends ProgressParams {
  /** To be verified may also be the path of a GGUF file: whether it is whole and of a kind that is supported. */
  id: string;
}

/** `wrong`: the file is not the one that it should be, and must be removed. */
export interface ModelCheck {
  state: 'verified' | 'absent' | 'wrong';
}

export interface ProbeParams {
  /** The folder to look at. */
  root?: string;
  include?: string[];
  exclude?: string[];
}

export interface ProbeReport {
  checks: Check[];
  /** Bytes of text in the folder that would be read; null when there is none. */
  sourceBytes: number | null;
  /** Predicted tokens of prefill per second, by model of the catalogue: within a factor of two. */
  prefillRates: Record<string, number>;
}

/** A repository as one model has read it. */
export interface StoredRepository {
  root: string;
  model: string;
  /** Of its latest state: all of its tokens, and those that are stored. */
  tokens: number;
  storedTokens: number;
  /** States of its tree that are remembered, and what is stored for all of them. */
  states: number;
  segments: number;
  bytes: number;
  /** Milliseconds since 1970. */
  usedMs: number;
}

export interface StoreReport {
  directory: string;
  bytes: number;
  /** The most that it may take without a limit of the user's. */
  limitBytes: number;
  /** The most recently used first. Two may share segments. */
  repositories: StoredRepository[];
  /** Bytes that `store prune` would free: no repository needs them. */
  unneededBytes: number;
}

export interface VerifyParams extends ProgressParams {
  /** Check every byte, not only that each file is whole and of this version. */
  deep?: boolean;
}

export interface VerifyReport {
  segments: number;
  bytes: number;
  /** They are never used, and read again when they are needed. */
  damaged: { file: string; reason: string }[];
}

export interface PruneParams {
  /** Clear away what was not in use for longest until the store takes no more than this. Default: only what is not needed. */
  diskBytes?: number;
  /** Only say what would go. */
  dryRun?: boolean;
}

export interface PruneReport {
  files: number;
  bytes: number;
  /** Of the store afterwards. */
  leftBytes: number;
}

export interface Check {
  name: string;
  ok: boolean;
  /** What was found, and what to do when it is not all right. */
  detail: string;
}

export const AskRequest = new RequestType<AskParams, AskResult, ErrorData>('repowave/ask');
export const FindRequest = new RequestType<FindParams, FindResult, ErrorData>('repowave/find');
export const IndexRequest = new RequestType<IndexParams, IndexResult, ErrorData>('repowave/index');
export const VerifyAnswerRequest = new RequestType<VerifyAnswerParams, VerifyAnswerResult, ErrorData>(
  'repowave/verify',
);
export const ChangesRequest = new RequestType<ChangesParams, ChangesReport, ErrorData>('repowave/changes');
export const PlanRequest = new RequestType<PlanParams, PlanReport, ErrorData>('repowave/plan');
export const ModelsRequest = new RequestType0<ModelInfo[], ErrorData>('repowave/models');
export const DownloadRequest = new RequestType<DownloadParams, ModelInfo, ErrorData>(
  'repowave/models/download',
);
export const VerifyModelRequest = new RequestType<ModelParams, ModelCheck, ErrorData>(
  'repowave/models/verify',
);
export const RemoveModelRequest = new RequestType<ModelParams, ModelInfo, ErrorData>(
  'repowave/models/remove',
);
export const ProbeRequest = new RequestType<ProbeParams, ProbeReport, ErrorData>('repowave/probe');
export const MemoryRequest = new RequestType0<MemoryState, ErrorData>('repowave/memory');
export const StoreRequest = new RequestType0<StoreReport, ErrorData>('repowave/store');
export const VerifyRequest = new RequestType<VerifyParams, VerifyReport, ErrorData>('repowave/store/verify');
export const PruneRequest = new RequestType<PruneParams, PruneReport, ErrorData>('repowave/store/prune');
export const DoctorRequest = new RequestType0<Check[], ErrorData>('repowave/doctor');
