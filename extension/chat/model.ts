/** The chat's state, folded from the session's events. Pure. */
import type {
  AskResult,
  Citation,
  ContextReport,
  ExcludedFile,
  IndexResult,
  Passage,
  PhaseProgress,
} from '../../backend/protocol.ts';
import type { Activity, Problem, SessionEvent } from '../events.ts';
import type { Welcome } from '../first-run/welcome.ts';

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
  /** Files that do not fit into the budget. */
  over: number;
  /** Files that have changed since. */
  changed: string[];
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
  passages: Passage[];
  scope: Scope | null;
  ttftMs: number | null;
  decodeTokensPerSecond: number | null;
  finish: AskResult['finish'] | null;
  /** Files that look as if they mattered to the answer and were not read yet. */
  missed: string[];
  /** The state of the files that the answer saw, and those whose changes were not saved then. */
  state: string | null;
  unsaved: string[];
  problem: Problem | null;
}

/** An answer, or the sentence of it with this index in `passages`. */
export interface EvidencePlace {
  turn: number;
  passage: number | null;
}

export interface ChatState {
  /** What stands there while there are no turns. */
  welcome: Welcome | null;
  turns: Turn[];
  scope: Scope | null;
  /** Whose evidence is shown; its turn may be gone. */
  shown: EvidencePlace | null;
  /** Given to the next turn. */
  nextId: number;
}

export const initialChat: ChatState = { welcome: null, turns: [], scope: null, shown: null, nextId: 1 };

export type ChatEvent =
  | SessionEvent
  | { type: 'clear' }
  | { type: 'show'; place: EvidencePlace }
  | { type: 'welcome'; welcome: Welcome };

export function reduceChat(state: ChatState, event: ChatEvent): ChatState {
  switch (event.type) {
    case 'started':
      return start(state, event.activity, event.unsaved);
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
        case 'insight':
          return state;
      }
      break;
    case 'answered':
      return withScope(showLast(updateLast(state, answered(event.result))), event.result.context);
    case 'read':
      return withScope(updateLast(state, read(event.result)), event.result.context);
    case 'cancelled':
      return updateLast(state, { status: 'cancelled', progress: null });
    case 'failed':
      return updateLast(state, { status: 'failed', progress: null, problem: event.problem });
    case 'changed':
      return withChanges(state, event.changed);
    case 'welcome':
      return { ...state, welcome: event.welcome };
    case 'show':
      return { ...state, shown: event.place };
    case 'clear':
      return { ...state, turns: state.turns.filter(({ status }) => status === 'working') };
    case 'backend':
      return state;
  }
}

function start(state: ChatState, activity: Activity, unsaved: string[] = []): ChatState {
  const turn: Turn = {
    id: state.nextId,
    activity,
    status: 'working',
    answer: '',
    progress: null,
    citations: [],
    passages: [],
    scope: null,
    ttftMs: null,
    decodeTokensPerSecond: null,
    finish: null,
    missed: [],
    state: null,
    unsaved,
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

/** The evidence of a new answer is shown at once. */
function showLast(state: ChatState): ChatState {
  const last = state.turns.at(-1);
  return last?.status === 'done' ? { ...state, shown: { turn: last.id, passage: null } } : state;
}

function answered({
  answer,
  citations,
  passages,
  timing,
  finish,
  missed,
  context,
}: AskResult): Partial<Turn> {
  const { ttftMs, decodeTokensPerSecond } = timing;
  const done = { status: 'done', progress: null, finish } as const;
  return {
    ...done,
    answer,
    citations,
    passages,
    missed,
    state: context.state,
    ttftMs,
    decodeTokensPerSecond,
  };
}

function read({ context }: IndexResult): Partial<Turn> {
  return { status: 'done', progress: null, scope: scopeOf(context) };
}

function withScope(state: ChatState, context: ContextReport): ChatState {
  return { ...state, scope: scopeOf(context) };
}

/** The same picture when nothing is different: it is looked at after every edit. */
function withChanges(state: ChatState, changed: string[]): ChatState {
  const { scope } = state;
  if (!scope || scope.changed.join('\n') === changed.join('\n')) return state;
  return { ...state, scope: { ...scope, changed } };
}

function scopeOf({ tokens, coverage, files, excluded, overBudget }: ContextReport): Scope {
  const leftOut = excluded.length;
  const over = overBudget?.files ?? 0;
  return { tokens, coverage, files, leftOut, over, changed: [], excluded: excluded.slice(0, MAX_EXCLUDED) };
}
