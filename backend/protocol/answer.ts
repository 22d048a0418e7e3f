/** A question, its answer, and what the answer was read from. */
import type {
  ContextReport,
  MemoryReport,
  Mode,
  PrefillReport,
  ProgressParams,
  RepositoryParams,
} from './repository.ts';

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
