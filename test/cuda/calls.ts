/** Calls of attention of one token: random ones, as steps for the kernels, and what the reference makes of them. */
import assert from 'node:assert/strict';
import type { Shape } from '../reference/attention.ts';
import { cluster, type Build, type Partition } from '../reference/clusters.ts';
import { createRandom } from '../reference/random.ts';
import { seenBy, tokensOf, ZONES, type Call, type PlacedRun, type Seen } from '../reference/seen.ts';
import { rankClusters } from '../reference/selection.ts';
import { attendRow, clusterLogits, queryOf, retrieve } from '../reference/tripartite.ts';
import { kPageTokens, kTileClusters, type Outcome, type Run, type Step, type Tile } from './driver.ts';
import { round, type Format } from './formats.ts';

export type Random = ReturnType<typeof createRandom>;

export interface Case {
  name: string;
  shape: Shape;
  format: Format;
  call: Call;
  q: Float32Array;
  /** [kvHeads] */
  seen: Seen[];
  step: Step;
}

export interface Options {
  headSize?: number;
  format?: Format;
  group?: number;
  budget?: number;
  estimate?: boolean;
  sinks?: boolean;
  /** Whether some clusters cannot be had, and the list of pages may be too short for some. */
  late?: boolean;
  biases?: boolean;
  window?: boolean;
  softCap?: boolean;
  /** Tokens of each wave run, where they are not by chance. */
  waves?: number[];
  /** Whether clusters resemble each other so much that ranks are equal. */
  ties?: boolean;
}

export const HEAD_SIZES = [64, 80, 96, 128, 256];

/** How scores become attention. */
export function randomScores(
  random: Random,
  { queryHeads, dk }: Shape,
  fixed: { softCap?: boolean; sinks?: boolean },
): Pick<Call, 'scale' | 'softCap' | 'sinks'> {
  const chance = (p: number) => random.uniform() < p;
  const pick = (list: readonly number[]) => list[random.integer(0, list.length - 1)]!;
  return {
    scale: pick([0.5, 1, 2]) / Math.sqrt(dk),
    softCap: (fixed.softCap ?? chance(0.2)) ? pick([3, 30]) : 0,
    sinks:
      (fixed.sinks ?? chance(0.2))
        ? Float32Array.from({ length: queryHeads }, () => 2 * random.normal())
        : null,
  };
}

/** K and V in which consecutive tokens resemble each other, so that clusters mean something. */
export function makeRun(
  random: Random,
  shape: Shape,
  tokens: number,
  format: Format,
  bias: number,
): PlacedRun {
  const fill = (d: number, likeness: number) => {
    const x = new Float64Array(tokens * shape.kvHeads * d);
    const mean = new Float64Array(shape.kvHeads * d);
    for (let t = 0; t < tokens; t++) {
      if (t === 0 || random.uniform() < 0.1) mean.forEach((_, i) => (mean[i] = likeness * random.normal()));
      for (let i = 0; i < mean.length; i++) x[t * mean.length + i] = mean[i]! + 0.7 * random.normal();
    }
    return round(x, format);
  };
  return { tokens, k: fill(shape.dk, 0.8), v: fill(shape.dv, 0.2), bias, position: 0 };
}

/** Clusters of consecutive points, of very different sizes, most of them up to `most`. */
function uneven(random: Random, most: number): Build['cluster'] {
  return (_, points): Partition => {
    const starts = [0];
    while (starts.at(-1)! < points) {
      const size = random.uniform() < 0.05 ? random.integer(30, 70) : random.integer(1, most);
      starts.push(Math.min(points, starts.at(-1)! + size));
    }
    return { order: Array.from({ length: points }, (_, i) => i), starts };
  };
}

export function randomCase(seed: number, fixed: Options = {}): Case {
  const random = createRandom(seed);
  const chance = (p: number) => random.uniform() < p;
  const pick = <T>(list: readonly T[]): T => list[random.integer(0, list.length - 1)]!;
  const headSize = fixed.headSize ?? pick(HEAD_SIZES);
  const format = fixed.format ?? (chance(0.5) ? 'f16' : 'bf16');
  const kvHeads = chance(0.4) ? 2 : 1;
  const group = fixed.group ?? pick([1, 2, 4, 5, 7, 8, 9, 16, 19]);
  const shape: Shape = { queryHeads: kvHeads * group, kvHeads, dk: headSize, dv: headSize };
  const bias = () => ((fixed.biases ?? chance(0.3)) ? pick([0, -1.5, -4, -Infinity]) : 0);
  const runs = (most: number, tokens: number) =>
    Array.from({ length: random.integer(0, most) }, () =>
      makeRun(random, shape, random.integer(1, tokens), format, bias()),
    );
  const wave = fixed.waves?.map((tokens) => makeRun(random, shape, tokens, format, bias())) ?? runs(3, 400);
  const tail = makeRun(random, shape, random.integer(1, 60), format, 0);
  const exact = runs(2, 70);
  let position = 0;
  for (const run of exact) position = (run.position = position) + run.tokens;
  const windowed = fixed.window ?? chance(0.2);
  const tokens = wave.reduce((sum, run) => sum + run.tokens, 0);
  const call: Call = {
    tokens: 1,
    ...randomScores(random, shape, fixed),
    window: windowed ? random.integer(1, 150) : 0,
    position: position + tail.tokens - 1,
    budget: fixed.budget ?? pick([0, 1, Math.ceil(tokens * 0.1), Math.ceil(tokens * 0.5), tokens]),
    estimate: fixed.estimate ?? chance(0.9),
    exact,
    wave,
    background: runs(2, 200),
    tail,
  };
  const grouped = fixed.waves || fixed.ties || chance(0.5) ? uneven(random, fixed.ties ? 3 : 20) : cluster;
  if (fixed.ties)
    for (const { k } of wave)
      for (let i = 0; i < k.length; i++) Object.assign(k, { [i]: k[i % (kvHeads * headSize)] });
  const q = Float32Array.from({ length: shape.queryHeads * headSize }, () => random.normal());
  const build: Build = { cluster: grouped, round: (x) => round(x, format) };
  const seen = Array.from({ length: kvHeads }, (_, head) => seenBy(shape, call, head, build));
  const step = stepOf(shape, format, call, q, seen);
  step.blocks = { score: random.integer(1, 3), exact: random.integer(1, 3), estimate: random.integer(1, 3) };
  step.moves = chance(0.3);
  if (fixed.late ?? chance(0.15)) makeLate(step, random);
  const name = `seed ${seed}: ${format}, ${shape.queryHeads}/${kvHeads} heads of ${headSize}, ${tokens} tokens, budget ${call.budget}`;
  return { name, shape, format, call, q, seen, step };
}

/** The step that a call of one token is. */
export function stepOf(shape: Shape, format: Format, call: Call, q: Float32Array, seen: Seen[]): Step {
  const tiles = seen.map((head) => [
    ...head.wave.flatMap(({ run, k, v, index }) =>
      tilesOf(index.fine, run.bias, shape.dk, (c) => {
        const tokens = tokensOf(index, c);
        return { run: gathered(tokens, k, v, shape.dk), tokens: tokens.length };
      }),
    ),
    ...head.background.flatMap(({ run, index }) => tilesOf(index.coarse, run.bias, shape.dk, null)),
  ]);
  const most = Math.max(...tiles.map((own) => own.length));
  const empty: Tile = { count: 0, bias: 0, keys: [], values: [], logSizes: [], places: null };
  for (const own of tiles) while (own.length < most) own.push(empty);
  const runs = seen.map((head) => [
    ...head.exact.map(({ run, k, v }) => windowed(run, k, v, run.position, call, shape.dk)),
    windowed(call.tail, head.tail.k, head.tail.v, call.position - call.tail.tokens + 1, call, shape.dk),
  ]);
  const pages = Math.max(...runs.map((own) => own.reduce((sum, { tokens }) => sum + pagesFor(tokens), 0)));
  const clusters = seen.map(({ wave }) => wave.flatMap(({ index }) => index.fine.sizes.map(pagesFor)));
  return {
    format,
    headSize: shape.dk,
    kvHeads: shape.kvHeads,
    group: shape.queryHeads / shape.kvHeads,
    budget: call.budget,
    maxPages: pages + Math.max(...clusters.map((own) => own.reduce((a, b) => a + b, 0))),
    estimate: call.estimate,
    scale: call.scale,
    softCap: call.softCap,
    blocks: { score: 1, exact: 1, estimate: 1 },
    q,
    sinks: call.sinks,
    tiles,
    runs,
    mass: false,
    moves: false,
  };
}

const pagesFor = (tokens: number) => Math.ceil(tokens / kPageTokens);

function tilesOf(
  of: { keys: Float64Array; values: Float64Array; sizes: number[] },
  bias: number,
  d: number,
  place: ((c: number) => NonNullable<Tile['places']>[number]) | null,
): Tile[] {
  const count = of.sizes.length;
  return Array.from({ length: Math.ceil(count / kTileClusters) }, (_, i) => {
    const [first, end] = [i * kTileClusters, Math.min(count, (i + 1) * kTileClusters)];
    return {
      count: end - first,
      bias,
      keys: of.keys.subarray(first * d, end * d),
      values: of.values.subarray(first * d, end * d),
      logSizes: of.sizes.slice(first, end).map(Math.log),
      places: place && Array.from({ length: end - first }, (_, c) => place(first + c)),
    };
  });
}

function gathered(tokens: number[], k: Float64Array, v: Float64Array, d: number): Run {
  const of = (x: Float64Array) => tokens.flatMap((t) => [...x.subarray(t * d, (t + 1) * d)]);
  return { tokens: tokens.length, bias: 0, k: of(k), v: of(v) };
}

/** What a sliding window leaves of a run; of one token, that is its end. */
function windowed(run: PlacedRun, k: Float64Array, v: Float64Array, at: number, call: Call, d: number): Run {
  const first = call.window > 0 ? Math.max(0, call.position - call.window + 1 - at) : 0;
  const tokens = Math.max(0, run.tokens - first);
  return { tokens, bias: run.bias, k: k.subarray(first * d), v: v.subarray(first * d) };
}

/** Some clusters have no place, and the last ones find no room. */
function makeLate(step: Step, random: Random): void {
  for (const place of step.tiles.flat().flatMap((tile) => tile.places ?? [])) {
    if (random.uniform() < 0.2) place.run = null;
  }
  const own = Math.max(...step.runs.map((runs) => runs.reduce((sum, run) => sum + pagesFor(run.tokens), 0)));
  step.maxPages = own + Math.floor((step.maxPages - own) * 0.4);
}

/** The clusters that the kernels retrieved, per wave run. */
export function retrievedBy(one: Case, head: number, bits: Uint32Array): Set<number>[] {
  let tile = head * one.step.tiles[0]!.length;
  return one.seen[head]!.wave.map(({ index }) => {
    const first = tile;
    tile += Math.ceil(index.fine.sizes.length / kTileClusters);
    const isIn = (_: number, c: number) =>
      (bits[first + Math.floor(c / kTileClusters)]! >>> (c % kTileClusters)) & 1 ? [c] : [];
    return new Set(index.fine.sizes.flatMap(isIn));
  });
}

export function queriesOf({ shape, q, call }: Case, head: number): Float64Array[] {
  const group = shape.queryHeads / shape.kvHeads;
  return Array.from({ length: group }, (_, r) => queryOf(shape, q, call.scale, 0, head * group + r));
}

/**
 * Fails unless the kernels chose as the reference does: every cluster, but for those whose ranks are the same as far as
 * the kernels can tell.
 */
export function assertChoice(one: Case, outcome: Outcome, tolerance: number): void {
  for (let head = 0; head < one.shape.kvHeads; head++) {
    const { chosen, late } = outcome.reports[head]!;
    const rows = queriesOf(one, head);
    const expected = retrieve(rows, one.seen[head]!, one.call, one.shape.dk);
    const actual = retrievedBy(one, head, outcome.bits);
    const retrieved = actual.reduce((sum, own) => sum + own.size, 0);
    assert.equal(retrieved, chosen - late, 'what is chosen is retrieved or late');
    if (late > 0) {
      actual.forEach((own, i) =>
        assert.ok(
          [...own].every((c) => expected[i]!.has(c)),
          'late ones only',
        ),
      );
      continue;
    }
    const runs = one.seen[head]!.wave;
    const weights = runs.flatMap(({ run, index }) => index.fine.sizes.map((s) => s * Math.exp(run.bias)));
    const ranks = rankClusters(clusterLogits(rows, one.seen[head]!, one.call, one.shape.dk), weights);
    let first = 0;
    const differing: number[] = [];
    runs.forEach(({ run, index }, i) => {
      index.fine.sizes.forEach((_, c) => {
        if (run.bias === -Infinity) return; // of no weight, whether chosen or not
        if (expected[i]!.has(c) !== actual[i]!.has(c)) differing.push(ranks[first + c]!);
      });
      first += index.fine.sizes.length;
    });
    if (differing.length === 0) continue;
    // Ranks that are really the same are the same to the kernels too.
    const [low, high] = [Math.min(...differing), Math.max(...differing)];
    assert.ok(low < high && high / low - 1 < tolerance, 'chosen by rank');
  }
}

/**
 * The mass that the tokens of each page got in float64, pages in the kernels' order: runs, then retrieved clusters.
 * @param head of a call without a window
 * @returns [pages][8]; NaN for tokens that the reference keeps no account of (the session's own)
 */
export function expectedMass(one: Case, head: number, bits: Uint32Array): number[] {
  const { shape, call, seen } = one;
  const chosen = retrievedBy(one, head, bits);
  const group = shape.queryHeads / shape.kvHeads;
  const rows = queriesOf(one, head).map((q, r) =>
    attendRow(q, 0, call.sinks?.[head * group + r], seen[head]!, chosen, call, shape),
  );
  const massOf = (slot: number) => rows.reduce((sum, { mass }) => sum + mass[slot]!, 0);
  const paged = (masses: number[]) => [
    ...masses,
    ...Array<number>(-masses.length & (kPageTokens - 1)).fill(0),
  ];
  let slot = 0;
  const exact = call.exact.map((run) => {
    const first = (slot += run.tokens) - run.tokens;
    return run.bias === -Infinity
      ? []
      : paged(Array.from({ length: run.tokens }, (_, t) => massOf(first + t)));
  });
  const own = paged(Array.from({ length: call.tail.tokens }, () => NaN));
  const clusters = seen[head]!.wave.flatMap(({ run, index }, i) => {
    const first = (slot += run.tokens) - run.tokens;
    return [...chosen[i]!].map((c) => paged(tokensOf(index, c).map((t) => massOf(first + t))));
  });
  return [...exact, own, ...clusters].flat();
}

/** The share of each query head's mass that coarse summaries got in float64. @returns [group] */
export function expectedCoarse(one: Case, head: number, bits: Uint32Array): number[] {
  const chosen = retrievedBy(one, head, bits);
  return queriesOf(one, head).map((q, r) => {
    const sink = one.call.sinks?.[head * one.step.group + r];
    return attendRow(q, 0, sink, one.seen[head]!, chosen, one.call, one.shape).zones[
      ZONES.indexOf('coarse')
    ]!;
  });
}

/** Attention in float64 with the clusters that the kernels retrieved. @returns [queryHeads][dv] */
export function expectedOf(one: Case, bits: Uint32Array): Float64Array {
  const { shape, call, seen } = one;
  const group = shape.queryHeads / shape.kvHeads;
  const out = new Float64Array(shape.queryHeads * shape.dv);
  for (let head = 0; head < shape.kvHeads; head++) {
    const chosen = retrievedBy(one, head, bits);
    queriesOf(one, head).forEach((q, r) => {
      const row = head * group + r;
      const attended = attendRow(q, 0, call.sinks?.[row], seen[head]!, chosen, call, shape);
      out.set(attended.out, row * shape.dv);
    });
  }
  return out;
}

/** Over all rows; NaN where anything is. */
export function relativeError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  assert.equal(actual.length, expected.length);
  let [difference, norm] = [0, 0];
  for (let i = 0; i < expected.length; i++) {
    difference += (actual[i]! - expected[i]!) ** 2;
    norm += expected[i]! ** 2;
  }
  return Math.sqrt(difference / norm);
}
