/** The insights in words and tables, for the page and for screen readers. Pure. */
import type { AttentionSummary, StoreReport, Zones } from '../../backend/protocol.ts';
import { bytes, count, counted, short } from '../format.ts';
import { t } from '../l10n.ts';
import type { InsightRecord } from './model.ts';

export interface Figure {
  label: string;
  value: string;
  /** How it is known. */
  note?: string;
}

export interface Table {
  caption: string;
  columns: string[];
  rows: string[][];
  /** What stands there instead of rows. */
  empty: string;
}

/** Zones in the order of the protocol, the closest look first. */
export const ZONES = ['steady', 'retrieved', 'estimated', 'coarse'] as const satisfies (keyof Zones)[];

export const zoneName = (zone: keyof Zones): string => {
  switch (zone) {
    case 'steady':
      return t('Seen whole');
    case 'retrieved':
      return t('Retrieved');
    case 'estimated':
      return t('Estimated');
    case 'coarse':
      return t('Outline');
  }
};

const share = (value: number): string => `${Number((100 * value).toFixed(value < 0.1 ? 1 : 0))}%`;
const rateText = (value: number): string => t('{0} tokens/s', value < 100 ? value.toFixed(1) : count(value));
const UNKNOWN = '–';

/** `Question`, or that it was read only. */
export function recordTitle({ activity }: Pick<InsightRecord, 'activity'>): string {
  return activity.kind === 'ask' ? activity.question : t('Reading the repository');
}

/** How sparse attention was, and how good the choice. */
export function sparsityFigures(attention: AttentionSummary): Figure[] {
  const { waveTokens, retrievedTokens, waveClusters, retrievedClusters, lateClusters } = attention;
  if (waveTokens === 0) {
    return [
      {
        label: t('Tokens chosen from'),
        value: '0',
        note: t('What was looked at closely was seen whole: nothing was chosen from, and nothing estimated.'),
      },
    ];
  }
  return [
    {
      label: t('Tokens attended exactly'),
      value: t('{0} of {1}', count(retrievedTokens), count(waveTokens)),
      note: t('{0} of what was chosen from, mean over layers and heads', share(retrievedTokens / waveTokens)),
    },
    { label: t('Tokens estimated'), value: count(waveTokens - retrievedTokens) },
    {
      label: t('Clusters retrieved'),
      value: t('{0} of {1}', count(retrievedClusters), count(waveClusters)),
      note: lateClusters > 0 ? t('{0} chosen, but not there in time', count(lateClusters)) : undefined,
    },
    ...qualityFigures(attention),
  ];
}

function qualityFigures({ recall, captured, samples }: AttentionSummary): Figure[] {
  if (recall === null || captured === null) {
    return [{ label: t('Against exact attention'), value: UNKNOWN, note: t('Not sampled yet') }];
  }
  const note = t('against exact attention, {0} samples', count(samples));
  return [
    { label: t('Recall of the 100 strongest tokens'), value: share(recall), note },
    { label: t('Attention mass captured'), value: share(captured), note },
  ];
}

/** How fast it read and wrote. */
export function speedFigures({ timing, tokens, decodeRates, prefillRates }: InsightRecord): Figure[] {
  const decode = timing?.decodeTokensPerSecond ?? decodeRates.at(-1)?.[1];
  const prefill =
    timing && timing.prefillTokens > 0
      ? (1000 * timing.prefillTokens) / timing.prefillMs
      : prefillRates.at(-1)?.[1];
  const figures: Figure[] = [
    { label: t('Decode'), value: decode ? rateText(decode) : UNKNOWN, note: counted(tokens, 'token') },
    {
      label: t('Prefill'),
      value: prefill ? rateText(prefill) : UNKNOWN,
      note: timing ? counted(timing.prefillTokens, 'token') : undefined,
    },
  ];
  if (timing?.ttftMs !== undefined) {
    figures.push({ label: t('First word'), value: t('{0} s', (timing.ttftMs / 1000).toFixed(1)) });
  }
  return figures;
}

/** Memory by tier: what is used, the cap, the hits and what an answer's token moves. */
export function memoryTable(record: InsightRecord | undefined, store: StoreReport | null): Table {
  const { memory, attention, diskBytesPerToken } = record ?? {};
  const looks = memory ? memory.hits + memory.misses : 0;
  const size = (value: number | null | undefined) =>
    value === null || value === undefined ? UNKNOWN : bytes(value);
  return {
    caption: t('Memory by tier'),
    columns: [t('Tier'), t('Used'), t('Cap'), t('Hits'), t('Moved per token')],
    rows: [
      [t('GPU'), memory?.gpuBytes ? bytes(memory.gpuBytes) : t('none'), UNKNOWN, UNKNOWN, UNKNOWN],
      [
        t('RAM'),
        size(memory?.keptBytes),
        size(memory?.capBytes),
        looks > 0 && memory ? share(memory.hits / looks) : UNKNOWN,
        size(attention?.bytesPerStep),
      ],
      [t('Disk'), size(store?.bytes), size(store?.limitBytes), UNKNOWN, size(diskBytesPerToken)],
    ],
    empty: '',
  };
}

/** What the gate chose for an answer. */
export function gateTable(record: InsightRecord | undefined): Table {
  const reasons = { words: t('words'), heads: t('heads'), imports: t('imports'), pinned: t('pinned') };
  return {
    caption: t('Looked at closely'),
    columns: [t('Files'), t('Lines'), t('Tokens'), t('Chosen by')],
    rows: (record?.gate?.segments ?? []).map(({ paths, startLine, endLine, tokens, reason }) => [
      paths.join(', ') || t('The list of all files'),
      paths.length === 1 ? `${startLine}-${endLine}` : UNKNOWN,
      count(tokens),
      reasons[reason],
    ]),
    empty: record?.mode ? t('Everything was looked at alike.') : t('Known when an answer is complete.'),
  };
}

/** The store's segments by repository. */
export function storeTable(store: StoreReport | null): Table {
  return {
    caption: t('Stored on disk'),
    columns: [t('Repository'), t('Model'), t('Tokens'), t('Segments'), t('Size')],
    rows: (store?.repositories ?? []).map(({ root, model, tokens, storedTokens, segments, bytes: size }) => [
      root,
      model,
      storedTokens < tokens ? t('{0} of {1}', short(storedTokens), short(tokens)) : short(tokens),
      count(segments),
      bytes(size),
    ]),
    empty: store ? t('Nothing is stored.') : t('Known when the backend has run.'),
  };
}

/** What a heat map may show. */
export type MapKind = 'exact' | keyof Zones;

export interface HeatMap {
  caption: string;
  /** [layer][head], shares. */
  values: number[][];
  /** What is the darkest: the largest value, but no less than 1 %. */
  scale: number;
}

export const mapName = (kind: MapKind): string =>
  kind === 'exact' ? t('Tokens attended exactly') : t('Attention mass: {0}', zoneName(kind));

/** The kinds that say something about this answer. */
export function mapKinds({ waveTokens, zones }: AttentionSummary): MapKind[] {
  const kinds: MapKind[] = waveTokens > 0 ? ['exact'] : [];
  return [...kinds, ...ZONES.filter((zone) => zones[zone] > 0)];
}

export function heatMap(attention: AttentionSummary, kind: MapKind): HeatMap {
  const values = kind === 'exact' ? attention.layers : attention.mass[kind];
  return { caption: mapName(kind), values, scale: Math.max(0.01, ...values.flat()) };
}

/** The same as a table: a row per layer. */
export function heatTable({ caption, values }: HeatMap): Table {
  return {
    caption,
    columns: [t('Layer'), ...(values[0] ?? []).map((_, head) => t('Head {0}', head))],
    rows: values.map((heads, layer) => [String(layer), ...heads.map(share)]),
    empty: '',
  };
}

export const cellText = (layer: number, head: number, value: number): string =>
  t('Layer {0}, head {1}: {2}', layer, head, share(value));

export const shareText = share;
