/** What is told while a request is at work, streamed through its progress token. */
import type { ProgressType } from 'vscode-jsonrpc';
import type { AttentionSummary } from './answer.ts';
import type { ContextReport, MemoryState } from './repository.ts';

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
export const progress: ProgressType<Progress> = { __: undefined, _pr: undefined };
