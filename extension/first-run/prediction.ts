/** How long this machine will take to read, before it has. Pure. */
import type { ModelInfo, ProbeReport } from '../../backend/protocol.ts';
import { count, duration, short } from '../format.ts';
import { t } from '../l10n.ts';

/** Of source code, with the vocabularies of the catalogue. */
const BYTES_PER_TOKEN = 3.5;
/** What is predicted while there is no folder. */
const USUAL_TOKENS = 100_000;
/** A shorter read says little about the next one. */
const MIN_MEASURED_TOKENS = 2_000;

/** Tokens per second by the setting `repowave.model` (empty: the default), as reads on this machine measured them. */
export type Rates = Record<string, number>;

export interface Prediction {
  model: string;
  /** The time, and how it is known. */
  time: string;
  /** What it is the time for. */
  detail: string;
}

/** One line per model that a rate is known of. */
export function predictions(
  { sourceBytes, prefillRates }: Pick<ProbeReport, 'sourceBytes' | 'prefillRates'>,
  models: readonly ModelInfo[],
  measured: Rates,
): Prediction[] {
  const tokens = sourceBytes === null ? USUAL_TOKENS : Math.round(sourceBytes / BYTES_PER_TOKEN);
  return models.flatMap(({ id, name, default: usual }) => {
    const own = measured[id] ?? (usual ? measured[''] : undefined);
    const rate = own ?? prefillRates[id];
    if (!rate) return [];
    const seconds = duration(tokens / rate);
    const time = own ? t('{0}, as measured here', seconds) : t('{0}, predicted to a factor of two', seconds);
    const detail =
      sourceBytes === null
        ? t('{0} tokens at {1} tokens/s', short(tokens), count(rate))
        : t('This folder: about {0} tokens at {1} tokens/s', short(tokens), count(rate));
    return [{ model: name, time, detail }];
  });
}

/** Adds what a read has measured; the latest counts. */
export function withRate(
  rates: Rates,
  model: string,
  read: { prefillTokens: number; prefillMs: number },
): Rates {
  const { prefillTokens, prefillMs } = read;
  if (prefillTokens < MIN_MEASURED_TOKENS || prefillMs <= 0) return rates;
  return { ...rates, [model]: (1000 * prefillTokens) / prefillMs };
}
