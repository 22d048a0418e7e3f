/** What a benchmark tells: one figure per metric, ours against a peer measured in the same run. */

import os from 'node:os';

/**
 * One line of `--json`. `peer`, `peerName` and `ratio` are null where there is nothing to compare with; the name of a
 * peer that could not run says so.
 */
export interface Figure {
  suite: string;
  case: string;
  metric: string;
  unit: string;
  /** The median of the repeats. */
  ours: number | null;
  peer: number | null;
  peerName: string | null;
  /** ours / peer. */
  ratio: number | null;
  /** Its place in a line chart; without it, it is a bar. */
  point?: Point;
  /** All that a reader needs to judge or repeat it, with the spread of both sides. */
  conditions: Record<string, string | number | boolean | number[]>;
}

/** Both sides become lines, named `series` and the peer's name. */
export interface Point {
  axis: string;
  x: number;
  series: string;
  peerSeries: string;
  /** Whether the peer's value follows from measured ones at other points and was not measured here. */
  peerExtrapolated: boolean;
}

export interface SuiteOptions {
  quick: boolean;
  /** An id of the catalogue or a path. */
  model: string;
  threads: number;
  /** The tree that the cases of a repository read. */
  repo: string;
  /** Leave ours out: what the peer does on this machine. */
  peerOnly: boolean;
  /** Tells a person what is being measured. */
  say: (text: string) => void;
}

export interface Suite {
  cases: readonly string[];
  run(name: string, options: SuiteOptions): Promise<Figure[]>;
}

/** One suite of the cases of several. */
export function together(...suites: Suite[]): Suite {
  return {
    cases: suites.flatMap(({ cases }) => cases),
    run: (name, options) => {
      const suite = suites.find(({ cases }) => cases.includes(name));
      if (!suite) throw new Error(`no case ${name}`);
      return suite.run(name, options);
    },
  };
}

/** @returns NaN for no samples */
export function median(samples: readonly number[]): number {
  const sorted = [...samples].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  const upper = sorted[Math.floor(middle)] ?? NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? NaN) + upper) / 2;
}

function medianOrNull(samples: readonly number[]): number | null {
  return samples.length > 0 ? median(samples) : null;
}

export interface Comparison extends Pick<
  Figure,
  'suite' | 'case' | 'metric' | 'unit' | 'peerName' | 'conditions' | 'point'
> {
  ours: readonly number[];
  peer: readonly number[];
  /** Why the peer could not be measured. */
  notRun?: string;
}

/** What every figure about a model tells. */
export function machine({ model, threads, quick }: SuiteOptions): Figure['conditions'] {
  return { model, threads, cpu: os.cpus()[0]?.model.trim() ?? 'unknown', quick };
}

/** The figure of interleaved repeats of both sides. */
export function compare({ ours, peer, notRun, ...rest }: Comparison): Figure {
  const [a, b] = [medianOrNull(ours), medianOrNull(peer)];
  return {
    suite: rest.suite,
    case: rest.case,
    metric: rest.metric,
    unit: rest.unit,
    ours: a,
    peer: b,
    peerName: b === null && notRun === undefined ? null : nameOf(rest.peerName, notRun),
    ratio: a === null || b === null ? null : a / b,
    ...(rest.point && { point: rest.point }),
    conditions: { ...rest.conditions, oursSamples: [...ours], peerSamples: [...peer] },
  };
}

function nameOf(peer: string | null, notRun: string | undefined): string | null {
  return notRun === undefined ? peer : `${peer}: not run, ${notRun}`;
}

/** Measures both sides turn by turn, so that whatever else the machine does falls on both. */
export async function inTurn(
  rounds: number,
  sides: {
    ours?: (round: number) => Promise<readonly number[]>;
    peer: (round: number) => Promise<readonly number[]>;
  },
): Promise<{ ours: number[]; peer: number[] }> {
  const samples = { ours: [] as number[], peer: [] as number[] };
  for (let round = 1; round <= rounds; round++) {
    if (sides.ours) samples.ours.push(...(await sides.ours(round)));
    samples.peer.push(...(await sides.peer(round)));
  }
  return samples;
}

/** The table for people: the ratio first, then minimum/median/maximum of each side. */
export function table(figures: readonly Figure[]): string {
  const rows = figures.map((figure) => [
    figure.ratio === null ? '-' : `${figure.ratio.toFixed(2)}x`,
    `${figure.suite} ${figure.case}`,
    `${figure.metric} (${figure.unit})`,
    spread(figure.ours, figure.conditions.oursSamples),
    spread(figure.peer, figure.conditions.peerSamples),
    figure.peerName ?? '-',
  ]);
  const all = [['ratio', 'case', 'metric', 'ours min/med/max', 'peer min/med/max', 'peer'], ...rows];
  const widths = (all[0] ?? []).map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  return all
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

function spread(value: number | null, samples: Figure['conditions'][string] | undefined): string {
  if (value === null) return '-';
  if (!Array.isArray(samples) || samples.length === 0) return number(value);
  return [Math.min(...samples), value, Math.max(...samples)].map(number).join(' / ');
}

/** For people. */
export function number(value: number): string {
  return value >= 1000 ? Math.round(value).toString() : value.toPrecision(3);
}
