/** The status bar item as a state machine. Pure. */
import type { ContextReport, PhaseProgress } from '../../backend/protocol.ts';
import type { Command } from '../commands.ts';
import type { SessionEvent } from '../events.ts';
import { bytes, count, counted, duration, percent, phaseTitle, progressFigures, short } from '../format.ts';
import { t } from '../l10n.ts';

export interface StatusState {
  /** What is going on: nothing, work with or without figures yet, an answer, or no backend. */
  phase: 'idle' | 'starting' | 'working' | 'answering' | 'error';
  progress: PhaseProgress | null;
  context: Pick<ContextReport, 'tokens' | 'budget' | 'files'> | null;
}

export const initialStatus: StatusState = { phase: 'idle', progress: null, context: null };

export function reduceStatus(state: StatusState, event: SessionEvent): StatusState {
  switch (event.type) {
    case 'started':
      return { ...state, phase: 'starting', progress: null };
    case 'progress':
      switch (event.progress.kind) {
        case 'phase':
          return { ...state, phase: 'working', progress: event.progress };
        case 'context':
          return { ...state, context: event.progress.context };
        case 'text':
          return { ...state, phase: 'answering', progress: null };
        case 'insight':
          return state;
      }
      break;
    case 'answered':
    case 'read':
      return { phase: 'idle', progress: null, context: event.result.context };
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
  error: boolean;
}

export function statusView(state: StatusState): StatusView {
  const { context, progress } = state;
  const budget = context ? `${short(context.tokens)}/${short(context.budget)}` : 'RepoWave';
  const inContext = context
    ? t(
        '{0} of {1} in context, {2}',
        count(context.tokens),
        counted(context.budget, 'token'),
        counted(context.files, 'file'),
      )
    : t('Nothing is read yet: the first question reads the repository');
  const view = (text: string, now: string, command: Command, error = false): StatusView => ({
    text,
    label: `RepoWave: ${now}`,
    tooltip: [`**RepoWave** ${now}`, ...(now === inContext ? [] : [inContext])],
    command,
    error,
  });
  switch (state.phase) {
    case 'idle':
      return view(`$(telescope) ${budget}`, inContext, 'repowave.ask');
    case 'starting':
      return view(`$(sync~spin) ${budget}`, t('Starting'), 'repowave.ask');
    case 'answering':
      return view(`$(loading~spin) ${budget}`, t('Answering'), 'repowave.ask');
    case 'error':
      return view('$(error) RepoWave', t('The backend has stopped'), 'repowave.restart', true);
    case 'working':
      if (!progress) return view(`$(sync~spin) ${budget}`, t('Working'), 'repowave.ask');
      return view(
        `${progress.phase === 'download' ? '$(cloud-download)' : '$(sync~spin)'} ${figures(progress)}`,
        `${phaseTitle(progress.phase)}: ${progressFigures(progress)}`,
        'repowave.ask',
      );
  }
}

/** `37% 2m10s`; the amount while the total is unknown. */
function figures(progress: PhaseProgress): string {
  const { done, phase, etaSeconds } = progress;
  const share = percent(progress);
  const amount = phase === 'download' || phase === 'load' ? bytes(done) : short(done);
  const left = etaSeconds === undefined ? '' : ` ${duration(etaSeconds)}`;
  return `${share === undefined ? amount : `${share}%`}${left}`;
}
