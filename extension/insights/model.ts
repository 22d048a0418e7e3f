/** What the insights view knows: one record per question or reading, folded from the session's events. Pure. */
import type {
  AskResult,
  AttentionSteps,
  AttentionSummary,
  ContextReport,
  GateReport,
  InsightProgress,
  MemoryState,
  PrefillReport,
  StoreReport,
} from '../../backend/protocol.ts';
import type { Activity, SessionEvent } from '../events.ts';

const MAX_RECORDS = 20;
/** A chart is no wider than this many points: of more, every second one goes. */
const MAX_SAMPLES = 600;

/** Tokens per second at a time, in seconds since the record began. */
export type Sample = [seconds: number, rate: number];

export interface InsightRecord {
  id: number;
  activity: Activity;
  status: 'working' | 'done' | 'cancelled' | 'failed';
  startedMs: number;
  /** Of the answer. */
  tokens: number;
  prefillRates: Sample[];
  decodeRates: Sample[];
  context: Pick<ContextReport, 'tokens' | 'files' | 'coverage'> | null;
  attention: AttentionSummary | null;
  steps: AttentionSteps | null;
  gate: GateReport | null;
  mode: AskResult['mode'] | null;
  timing: (PrefillReport & Partial<AskResult['timing']>) | null;
  /** While the answer is written its counts are the backend's, at the end the answer's. */
  memory: MemoryState | null;
  /** Bytes from the disk per token, between the first and the last report about it. */
  diskBytesPerToken: number | null;
}

export interface InsightsState {
  records: InsightRecord[];
  /** The record that is held fast; null: the newest. */
  frozen: number | null;
  store: StoreReport | null;
  nextId: number;
  /** The first report of the answer that is being written. */
  first: Pick<InsightProgress, 'tokens' | 'memory'> | null;
}

export const initialInsights: InsightsState = {
  records: [],
  frozen: null,
  store: null,
  nextId: 1,
  first: null,
};

export type InsightsEvent =
  SessionEvent | { type: 'freeze'; record: number | null } | { type: 'store'; store: StoreReport };

/** `nowMs` is the time of the event. */
export function reduceInsights(state: InsightsState, event: InsightsEvent, nowMs: number): InsightsState {
  switch (event.type) {
    case 'started':
      return start(state, event.activity, nowMs);
    case 'progress':
      switch (event.progress.kind) {
        case 'phase': {
          const { phase, rate } = event.progress;
          if (phase !== 'prefill' || !rate) return state;
          return change(state, (record) => ({
            prefillRates: withSample(record.prefillRates, [secondsIn(record, nowMs), rate]),
          }));
        }
        case 'context': {
          const { tokens, files, coverage } = event.progress.context;
          return change(state, () => ({ context: { tokens, files, coverage } }));
        }
        case 'insight':
          return insight(state, event.progress, nowMs);
        case 'text':
          return state;
      }
      break;
    case 'answered': {
      const { context, steps, gate, mode, timing, memory, attention } = event.result;
      const { tokens, files, coverage } = context;
      const figures = { steps, gate, mode, timing, memory, attention, context: { tokens, files, coverage } };
      return change(state, () => ({ ...figures, status: 'done' }));
    }
    case 'read': {
      const { timing, memory, context } = event.result;
      const { tokens, files, coverage } = context;
      return change(state, () => ({ timing, memory, context: { tokens, files, coverage }, status: 'done' }));
    }
    case 'cancelled':
    case 'failed':
      return change(state, () => ({ status: event.type }));
    case 'freeze':
      return { ...state, frozen: state.records.some(({ id }) => id === event.record) ? event.record : null };
    case 'store':
      return { ...state, store: event.store };
    case 'changed':
    case 'backend':
      return state;
  }
}

/** The record that is shown. */
export function shownRecord({ records, frozen }: InsightsState): InsightRecord | undefined {
  return records.find(({ id }) => id === frozen) ?? records.at(-1);
}

function start(state: InsightsState, activity: Activity, nowMs: number): InsightsState {
  const record: InsightRecord = {
    id: state.nextId,
    activity,
    status: 'working',
    startedMs: nowMs,
    tokens: 0,
    prefillRates: [],
    decodeRates: [],
    context: null,
    attention: null,
    steps: null,
    gate: null,
    mode: null,
    timing: null,
    memory: null,
    diskBytesPerToken: null,
  };
  const all = [...state.records, record];
  // The record that is held fast stays, however old it is.
  const kept = all.filter(({ id }, i) => id === state.frozen || i >= all.length - MAX_RECORDS);
  return { ...state, records: kept, nextId: state.nextId + 1, first: null };
}

function insight(state: InsightsState, progress: InsightProgress, nowMs: number): InsightsState {
  const { tokens, tokensPerSecond, attention, memory } = progress;
  const first = state.first ?? { tokens, memory };
  const written = tokens - first.tokens;
  const read = memory.readBytes - first.memory.readBytes;
  const changed = change(state, (record) => ({
    ...{ tokens, attention, memory },
    decodeRates: tokensPerSecond
      ? withSample(record.decodeRates, [secondsIn(record, nowMs), tokensPerSecond])
      : record.decodeRates,
    diskBytesPerToken: written > 0 ? read / written : null,
  }));
  return { ...changed, first };
}

/** Only a record that is at work changes: what comes late is dropped. */
function change(
  state: InsightsState,
  changeOf: (record: InsightRecord) => Partial<InsightRecord>,
): InsightsState {
  const last = state.records.at(-1);
  if (last?.status !== 'working') return state;
  return { ...state, records: [...state.records.slice(0, -1), { ...last, ...changeOf(last) }] };
}

const secondsIn = ({ startedMs }: InsightRecord, nowMs: number): number => (nowMs - startedMs) / 1000;

function withSample(samples: Sample[], sample: Sample): Sample[] {
  const kept = samples.length < MAX_SAMPLES ? samples : samples.filter((_, i) => i % 2 === 0);
  return [...kept, sample];
}
