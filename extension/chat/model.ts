/** The chat's state, folded from the session's events. Pure. */
import type {
  AskResult,
  Citation,
  ContextReport,
  ExcludedFile,
  IndexResult,
  PhaseProgress,
} from '../../backend/protocol.ts';
import type { Activity, Problem, SessionEvent } from '../events.ts';

/** The chat forgets older turns: it is no archive, and all of it goes to the webview. */
const MAX_TURNS = 30;
/** A big repository leaves out thousands of files; a list shows this many. */
const MAX_EXCLUDED = 100;

/** What the model has before it, short enough to be sent often. */
export interface Scope {
  tokens: number;
  /** Share of the tokens that has been read, 0 … 1. */
  coverage: number;
  files: number;
  leftOut: number;
  excluded: ExcludedFile[];
}

export interface Turn {
  id: number;
  activity: Activity;
  status: 'working' | 'done' | 'cancelled' | 'failed';
  /** Markdown; grows while `status` is `working`. */
  answer: string;
  progress: PhaseProgress | null;
  citations: Citation[];
  scope: Scope | null;
  ttftMs: number | null;
  decodeTokensPerSecond: number | null;
  finish: AskResult['finish'] | null;
  problem: Problem | null;
}

export interface ChatState {
  folderOpen: boolean;
  turns: Turn[];
  scope: Scope | null;
  /** Given to the next turn. */
  nextId: number;
}

export const initialChat: ChatState = { folderOpen: true, turns: [], scope: null, nextId: 1 };

export type ChatEvent = SessionEvent | { type: 'clear' };

export function reduceChat(state: ChatState, event: ChatEvent): ChatState {
  switch (event.type) {
    case 'started':
      return start(state, event.activity);
    case 'progress':
      switch (event.progress.kind) {
        case 'phase':
          return updateLast(state, { progress: event.progress });
        case 'context':
          return withScope(state, event.progress.context);
        case 'text': {
          const answer = (state.turns.at(-1)?.answer ?? '') + event.progress.text;
          return updateLast(state, { answer, progress: null });
        }
      }
      break;
    case 'answered':
      return withScope(updateLast(state, answered(event.result)), event.result.context);
    case 'read':
      return withScope(updateLast(state, read(event.result)), event.result.context);
    case 'cancelled':
      return updateLast(state, { status: 'cancelled', progress: null });
    case 'failed':
      return updateLast(state, { status: 'failed', progress: null, problem: event.problem });
    case 'folders':
      return { ...state, folderOpen: event.open };
    case 'clear':
      return { ...state, turns: state.turns.filter(({ status }) => status === 'working') };
    case 'backend':
      return state;
  }
}

function start(state: ChatState, activity: Activity): ChatState {
  const turn: Turn = {
    id: state.nextId,
    activity,
    status: 'working',
    answer: '',
    progress: null,
    citations: [],
    scope: null,
    ttftMs: null,
    decodeTokensPerSecond: null,
    finish: null,
    problem: null,
  };
  return { ...state, turns: [...state.turns, turn].slice(-MAX_TURNS), nextId: state.nextId + 1 };
}

/** Only a turn that is at work changes: what comes late is dropped. */
function updateLast(state: ChatState, change: Partial<Turn>): ChatState {
  const last = state.turns.at(-1);
  if (last?.status !== 'working') return state;
  return { ...state, turns: [...state.turns.slice(0, -1), { ...last, ...change }] };
}

function answered({ answer, citations, timing, finish }: AskResult): Partial<Turn> {
  const { ttftMs, decodeTokensPerSecond } = timing;
  return { status: 'done', progress: null, answer, citations, ttftMs, decodeTokensPerSecond, finish };
}

function read({ context }: IndexResult): Partial<Turn> {
  return { status: 'done', progress: null, scope: scopeOf(context) };
}

function withScope(state: ChatState, context: ContextReport): ChatState {
  return { ...state, scope: scopeOf(context) };
}

function scopeOf({ tokens, coverage, files, excluded }: ContextReport): Scope {
  const leftOut = excluded.length;
  return { tokens, coverage, files, leftOut, excluded: excluded.slice(0, MAX_EXCLUDED) };
}
