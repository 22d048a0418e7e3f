/** Numbers as people read them. Pure, used in the extension host and in the webview. */
import type { PhaseProgress } from '../backend/protocol.ts';
import { t } from './l10n.ts';

/** Made when it is needed: it loads what the machine knows of languages, which VS Code's start need not wait for. */
let number: Intl.NumberFormat | undefined;

/** 41203 -> `41,203` */
export function count(value: number): string {
  number ??= new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });
  return number.format(value);
}

/** `a.ts, b.ts, c.ts and 4 more` */
export function listed(names: readonly string[], most = 3): string {
  const shown = names.slice(0, most).join(', ');
  return names.length > most ? t('{0} and {1} more', shown, names.length - most) : shown;
}

const NOUNS = {
  file: (one: boolean, value: string) => (one ? t('{0} file', value) : t('{0} files', value)),
  place: (one: boolean, value: string) => (one ? t('{0} place', value) : t('{0} places', value)),
  token: (one: boolean, value: string) => (one ? t('{0} token', value) : t('{0} tokens', value)),
};

/** `1 file`, `2 files` */
export const counted = (value: number, noun: keyof typeof NOUNS): string =>
  NOUNS[noun](value === 1, count(value));

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

interface Phase {
  title: string;
  /** Empty where the amount has one. */
  unit: string;
  amount: (value: number) => string;
}

function phaseOf(phase: PhaseProgress['phase']): Phase {
  switch (phase) {
    case 'scan':
      return { title: t('Looking at the files'), unit: t('files'), amount: count };
    case 'download':
      return { title: t('Downloading the model'), unit: '', amount: bytes };
    case 'load':
      return { title: t('Loading the model'), unit: '', amount: bytes };
    case 'prefill':
      return { title: t('Reading the repository'), unit: t('tokens'), amount: count };
    case 'question':
      return { title: t('Reading the question'), unit: t('tokens'), amount: count };
    case 'verify':
      return { title: t('Verifying the store'), unit: t('segments'), amount: count };
  }
}

export const phaseTitle = (phase: PhaseProgress['phase']): string => phaseOf(phase).title;

/** `37% · 301,000 of 812,000 tokens · 1,240 tokens/s · 2m10s left`: never without a number. */
export function progressFigures(progress: PhaseProgress): string {
  const { unit, amount } = phaseOf(progress.phase);
  const { done, total, rate, etaSeconds } = progress;
  const share = percent(progress);
  return [
    share === undefined ? '' : `${share}%`,
    `${total ? t('{0} of {1}', amount(done), amount(total)) : amount(done)} ${unit}`.trimEnd(),
    rate ? `${amount(rate)}${unit ? ` ${unit}` : ''}/s` : '',
    etaSeconds === undefined ? '' : t('{0} left', duration(etaSeconds)),
  ]
    .filter(Boolean)
    .join(' · ');
}
