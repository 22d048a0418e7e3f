/** The status bar item as a state machine. Pure. */
import type { ContextReport, MemoryReport, PhaseProgress } from '../../backend/protocol.ts';
import type { Command } from '../commands.ts';
import type { SessionEvent } from '../events.ts';
import {
  bytes,
  count,
  counted,
  duration,
  listed,
  percent,
  phaseTitle,
  progressFigures,
  short,
} from '../format.ts';
import { t } from '../l10n.ts';

export interface StatusState {
  /** What is going on: nothing, work with or without figures yet, an answer, or no backend. */
  phase: 'idle' | 'starting' | 'working' | 'answering' | 'error';
  progress: PhaseProgress | null;
  context: Pick<ContextReport, 'tokens' | 'budget' | 'files' | 'overBudget'> | null;
  /** What the last answer took. */
  memory: MemoryReport | null;
  /** Tokens per second of the answer that is being written. */
  rate: number | null;
  /** What has changed since it was read. */
  changed: string[];
  unsaved: string[];
  /** Whether the chosen model is known not to be on this machine. */
  needsModel: boolean;
}

export type StatusEvent = SessionEvent | { type: 'model'; needed: boolean };

export const initialStatus: StatusState = {
  phase: 'idle',
  progress: null,
  context: null,
  memory: null,
  rate: null,
  changed: [],
  unsaved: [],
  needsModel: false,
};

export function reduceStatus(state: StatusState, event: StatusEvent): StatusState {
  switch (event.type) {
    case 'started':
      return { ...state, phase: 'starting', progress: null, rate: null };
    case 'progress':
      switch (event.progress.kind) {
        case 'phase':
          return { ...state, phase: 'working', progress: event.progress };
        case 'context':
          return { ...state, context: event.progress.context };
        case 'text':
          return {
            ...state,
            phase: 'answering',
            progress: null,
            rate: event.progress.tokensPerSecond ?? null,
          };
        case 'insight':
          return state;
      }
      break;
    case 'answered':
    case 'read':
      return {
        ...state,
        phase: 'idle',
        progress: null,
        context: event.result.context,
        memory: event.result.memory,
        changed: [],
      };
    case 'changed':
      return { ...state, changed: event.changed, unsaved: event.unsaved };
    case 'model':
      return { ...state, needsModel: event.needed };
    case 'cancelled':
    case 'failed':
      return state.phase === 'error' ? state : { ...state, phase: 'idle', progress: null };
    case 'backend':
      if (event.state === 'failed') return { ...state, phase: 'error', progress: null };
      return state.phase === 'error' ? { ...state, phase: 'idle' } : state;
  }
}

export interface StatusView {
  text: string;
  /** For screen readers, in words. */
  label: string;
  /** Lines of Markdown. */
  tooltip: string[];
  command: Command;
  background: 'none' | 'warning' | 'error';
}

export function statusView(state: StatusState): StatusView {
  const { context, progress, rate } = state;
  const figure = context ? `${short(needed(context))}/${short(context.budget)}` : 'RepoWave';
  const inContext = contextText(context);
  const view = (
    text: string,
    now: string,
    command: Command,
    background: StatusView['background'] = 'none',
  ): StatusView => ({
    text,
    label: `RepoWave: ${now}`,
    tooltip: [`**RepoWave** ${now}`, ...(now === inContext ? [] : [inContext]), ...memoryTable(state.memory)],
    command,
    background,
  });
  switch (state.phase) {
    case 'idle':
      return idle(state, figure, view);
    case 'starting':
      return view(`$(sync~spin) ${figure}`, t('Starting'), 'repowave.ask');
    case 'answering':
      return view(
        `$(loading~spin) ${rate ? t('{0} tok/s', count(rate)) : figure}`,
        rate ? t('Answering, {0} tokens/s', count(rate)) : t('Answering'),
        'repowave.cancel',
      );
    case 'error':
      return view('$(error) RepoWave', t('The backend has stopped'), 'repowave.restart', 'error');
    case 'working':
      if (!progress) return view(`$(sync~spin) ${figure}`, t('Working'), 'repowave.ask');
      return view(
        `${progress.phase === 'download' ? '$(cloud-download)' : '$(sync~spin)'} ${figures(progress)}`,
        `${phaseTitle(progress.phase)}: ${progressFigures(progress)}`,
        'repowave.ask',
      );
  }
}

type View = (
  text: string,
  now: string,
  command: Command,
  background?: StatusView['background'],
) => StatusView;

function idle(
  { context, needsModel, changed, unsaved }: StatusState,
  figure: string,
  view: View,
): StatusView {
  if (needsModel && !context)
    return view(`$(telescope) ${figure}`, t('The model is not there yet'), 'repowave.getStarted');
  if (!context) return view(`$(telescope) ${figure}`, contextText(context), 'repowave.ask');
  if (context.overBudget) {
    const { files, tokens } = context.overBudget;
    const left = t(
      '{0} with about {1} do not fit and are not in context',
      counted(files, 'file'),
      counted(tokens, 'token'),
    );
    return view(`$(warning) ${figure}`, left, 'repowave.budget.show', 'warning');
  }
  const stale = changed.length + unsaved.length;
  if (stale > 0) {
    const text = `$(telescope) ${figure} ${t('+{0} stale', stale)}`;
    return view(text, staleText({ changed, unsaved }), 'repowave.read');
  }
  return view(`$(telescope) ${figure}`, contextText(context), 'repowave.budget.show');
}

function contextText(context: StatusState['context']): string {
  if (!context) return t('Nothing is read yet: the first question reads the repository');
  return t(
    '{0} of {1} in context, {2}',
    count(context.tokens),
    counted(context.budget, 'token'),
    counted(context.files, 'file'),
  );
}

/** `Changed since they were read: a.ts, b.ts. Not saved, so that no answer sees it: c.ts` */
function staleText({ changed, unsaved }: Pick<StatusState, 'changed' | 'unsaved'>): string {
  return [
    changed.length > 0 ? t('Changed since it was read: {0}', listed(changed)) : '',
    unsaved.length > 0 ? t('Not saved, so that no answer sees it: {0}', listed(unsaved)) : '',
  ]
    .filter(Boolean)
    .join('. ');
}

/** Tokens of all that is to be read. */
const needed = ({ tokens, overBudget }: NonNullable<StatusState['context']>): number =>
  tokens + (overBudget?.tokens ?? 0);

/** Where what was read lies. */
function memoryTable(memory: MemoryReport | null): string[] {
  if (!memory) return [];
  const { gpuBytes, ramBytes, diskBytes } = memory;
  const cells = [gpuBytes, ramBytes, diskBytes].map(bytes).join(' | ');
  const table = `| GPU | RAM | ${t('Disk')} |\n| --- | --- | --- |\n| ${cells} |`;
  return memory.gpu === undefined ? [table] : [table, `GPU: ${memory.gpu}`];
}

/** `37% 2m10s`; the amount while the total is unknown. */
function figures(progress: PhaseProgress): string {
  const { done, phase, etaSeconds } = progress;
  const share = percent(progress);
  const amount = phase === 'download' || phase === 'load' ? bytes(done) : short(done);
  const left = etaSeconds === undefined ? '' : ` ${duration(etaSeconds)}`;
  return `${share === undefined ? amount : `${share}%`}${left}`;
}
