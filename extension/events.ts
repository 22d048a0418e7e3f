/** What happens in a session, in the order in which it happens. The views are folds over these events. */
import type { AskParams, AskResult, ChangesReport, IndexResult, Progress } from '../backend/protocol.ts';

export type Activity =
  | ({ kind: 'ask'; root: string; question: string } & Pick<AskParams, 'place' | 'earlier'>)
  | { kind: 'read'; root: string };

/** How an activity ends. */
export type Outcome = Extract<SessionEvent, { type: 'answered' | 'read' | 'cancelled' | 'failed' }>;

/** What a button below an error does. */
export type Remedy = 'retry' | 'restart' | 'log' | 'selectModel' | 'enterToken';

/** An error as the user sees it: one sentence, and what can be done. */
export interface Problem {
  message: string;
  remedies: Remedy[];
}

export type BackendState = 'stopped' | 'starting' | 'running' | 'failed';

export type SessionEvent =
  /** `unsaved`: files whose changes are not on disk, so that no answer sees them. */
  | { type: 'started'; activity: Activity; unsaved?: string[] }
  | { type: 'progress'; progress: Progress }
  | { type: 'answered'; result: AskResult }
  | { type: 'read'; result: IndexResult }
  /** What differs by now from what was read last. */
  | ({ type: 'changed' } & ChangesReport)
  | { type: 'cancelled' }
  | { type: 'failed'; problem: Problem }
  | { type: 'backend'; state: BackendState };
