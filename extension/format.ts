/** Numbers as people read them. Pure, used in the extension host and in the webview. */
import type { PhaseProgress } from '../backend/protocol.ts';

const number = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });

/** 41203 -> `41,203` */
export const count = (value: number): string => number.format(value);

/** `1 file`, `2 files` */
export const counted = (value: number, noun: string): string =>
  `${count(value)} ${noun}${value === 1 ? '' : 's'}`;

/** 412 -> `412`, 41203 -> `41k`, 1048576 -> `1M`, 1310000 -> `1.3M` */
export function short(value: number): string {
  if (value < 1000) return String(Math.round(value));
  if (value < 999_500) return `${Math.round(value / 1000)}k`;
  return `${Number((value / 1e6).toFixed(1))}M`;
}

/** Seconds -> `8s`, `2m10s`, `1h05m` */
export function duration(seconds: number): string {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s}s`;
  const two = (value: number) => String(value).padStart(2, '0');
  if (s < 3600) return `${Math.floor(s / 60)}m${two(s % 60)}s`;
  return `${Math.floor(s / 3600)}h${two(Math.floor((s % 3600) / 60))}m`;
}

/** Bytes -> `98 MB` */
export function bytes(value: number): string {
  if (value < 1e6) return `${Math.round(value / 1e3)} kB`;
  return value < 1e9 ? `${Math.round(value / 1e6)} MB` : `${(value / 1e9).toFixed(1)} GB`;
}

/** 0 … 100, or undefined while the total is unknown. */
export function percent({ done, total }: Pick<PhaseProgress, 'done' | 'total'>): number | undefined {
  return total ? Math.min(100, Math.floor((100 * done) / total)) : undefined;
}

const PHASES: Record<
  PhaseProgress['phase'],
  { title: string; unit: string; amount: (value: number) => string }
> = {
  scan: { title: 'Looking at the files', unit: 'files', amount: count },
  download: { title: 'Downloading the model', unit: '', amount: bytes },
  load: { title: 'Loading the model', unit: '', amount: bytes },
  prefill: { title: 'Reading the repository', unit: 'tokens', amount: count },
  question: { title: 'Reading the question', unit: 'tokens', amount: count },
  verify: { title: 'Verifying the store', unit: 'segments', amount: count },
};

export const phaseTitle = (phase: PhaseProgress['phase']): string => PHASES[phase].title;

/** `37% · 301,000 of 812,000 tokens · 1,240 tokens/s · 2m10s left`: never without a number. */
export function progressFigures(progress: PhaseProgress): string {
  const { unit, amount } = PHASES[progress.phase];
  const { done, total, rate, etaSeconds } = progress;
  const share = percent(progress);
  const of = total ? ` of ${amount(total)}` : '';
  return [
    share === undefined ? '' : `${share}%`,
    `${amount(done)}${of} ${unit}`.trimEnd(),
    rate ? `${amount(rate)}${unit ? ` ${unit}` : ''}/s` : '',
    etaSeconds === undefined ? '' : `${duration(etaSeconds)} left`,
  ]
    .filter(Boolean)
    .join(' · ');
}
