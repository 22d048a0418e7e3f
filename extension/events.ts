/** What happens in a session, in the order in which it happens. The views are folds over these events. */
import type { AskResult, IndexResult, Progress } from '../backend/protocol.ts';

export type Activity = { kind: 'ask'; root: string; question: string } | { kind: 'read'; root: string };

/** What a button below an error does. */
export type Remedy = 'retry' | 'restart' | 'log' | 'selectModel' | 'enterToken';

/** An error as the user sees it: one sentence, and what can be done. */
export interface Problem {
  message: string;
  remedies: Remedy[];
}

export type BackendState = 'stopped' | 'starting' | 'running' | 'failed';

export type SessionEvent =
  | { type: 'started'; activity: Activity }
  | { type: 'progress'; progress: Progress }
  | { type: 'answered'; result: AskResult }
  | { type: 'read'; result: IndexResult }
  | { type: 'cancelled' }
  | { type: 'failed'; problem: Problem }
  | { type: 'backend'; state: BackendState };
