/** A repository: which one, what is read of it, and what that took. */

export type Mode = 'auto' | 'exact' | 'wave';

/** How K and V are kept on the disk: as they are, or in eight bits per number, in little more than half of the bytes. */
export type KvForm = 'f16' | 'q8';

/** Whether a GPU computes what it can: `auto` takes what is there. */
export type GpuMode = 'off' | 'auto';

/** Which repository, read by which model. Paths are absolute. */
export interface RepositoryParams {
  root: string;
  /** An id of the catalogue or the path of a GGUF file. Default: the catalogue's default. */
  model?: string;
  mode?: Mode;
  /** Default: `f16`. What is stored in one form is not used for the other, and stays. */
  kv?: KvForm;
  /** Globs, in .gitignore's syntax. `include` empty means everything. */
  include?: string[];
  exclude?: string[];
  /** The most bytes of K/V to hold in memory. Default: what the machine has. */
  ramBytes?: number;
  /** Default: `off`. */
  gpu?: GpuMode;
  /** The most bytes that attention may take of the GPU's memory. Default: most of what is free when the model is there. */
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
  /** The model's weights, and what attention has taken. */
  gpuBytes: number;
  /** Where weights and attention are computed, and why not on a GPU, in one sentence; absent unless a GPU is wanted. */
  gpu?: string;
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
