/**
 * Tripartite attention, the specification of native/wave/attention: float64, plain loops. (RetroInfer, section 4.2:
 * steady zone exact, retrieved clusters exact, and here ALL other clusters estimated; beyond the paper: coarse
 * summaries of segments in the background, sinks, soft caps, sliding windows.)
 */
import type { Run, Shape } from './attention.ts';
import { buildIndex, dot, EXACT, type Build, type Index } from './clusters.ts';
import { choose, rankClusters } from './selection.ts';

/** `position` is that of the first token: only sliding windows tell. */
export interface PlacedRun extends Run {
  position: number;
}

export interface Call {
  tokens: number;
  scale: number;
  /** 0: none. */
  softCap: number;
  /** Per query head, a logit that takes mass and has no value. */
  sinks: ArrayLike<number> | null;
  /** 0, or how many tokens back, itself included, a token sees; exact runs and the tail only. */
  window: number;
  /** Of the first token. */
  position: number;
  /** Tokens to retrieve per KV head and block of tokens. */
  budget: number;
  estimate: boolean;
  exact: PlacedRun[];
  wave: PlacedRun[];
  background: PlacedRun[];
  /** Its last `tokens` tokens are the ones computed. */
  tail: PlacedRun;
}

export const ZONES = ['steady', 'retrieved', 'estimated', 'coarse'] as const;
export type Zone = (typeof ZONES)[number];

export interface HeadRecord {
  /** Share of the mass, mean over the group's query heads; sinks count as steady. */
  zones: Float64Array;
  retrievedClusters: number;
  retrievedTokens: number;
  /** Share of the 100 wave tokens with the most exact mass that were retrieved. */
  recall: number;
  /** Share of the exact mass of all wave tokens that was retrieved. */
  captured: number;
}

export interface Attended {
  /** [tokens][queryHeads][dv] */
  out: Float64Array;
  /** [kvHeads][tokens of exact and wave runs], of the last token: exact and retrieved attention mass. */
  mass: Float64Array;
  /** [kvHeads], of the last block of tokens */
  records: HeadRecord[];
}

/** Attention over part of what a row sees: sum exp(logit - m), sum exp(logit - m) value. */
export interface Partial {
  m: number;
  l: number;
  o: Float64Array;
}

/** What one row sees: logits with values, and where their mass is booked. */
interface Entry {
  logit: number;
  values: ArrayLike<number>;
  at: number;
  /** s: how many tokens the entry stands for. */
  size: number;
  zone: Zone;
  slot: number;
}

/** s exp(q . C), which never exceeds the true sum of exp(q . k) over the cluster (section 4.2, equation 3: Jensen). */
export function massBound(q: ArrayLike<number>, centroid: ArrayLike<number>, size: number): number {
  return size * Math.exp(dot(q, 0, centroid, 0, centroid.length));
}

/** Weights of s in the sum and of s times the mean value, i.e. the value sum, in the output (equations 2 and 4). */
export function partialOf(entries: Entry[], dv: number): Partial {
  const m = entries.reduce((top, { logit }) => Math.max(top, logit), -Infinity);
  const part: Partial = { m, l: 0, o: new Float64Array(dv) };
  if (m === -Infinity) return part;
  for (const { logit, size, values, at } of entries) {
    if (logit === -Infinity) continue;
    const weight = size * Math.exp(logit - m);
    part.l += weight;
    for (let d = 0; d < dv; d++) part.o[d]! += weight * values[at + d]!;
  }
  return part;
}

/** The log-sum-exp merge: both parts brought to the larger maximum and added. */
export function merge(a: Partial, b: Partial): Partial {
  const m = Math.max(a.m, b.m);
  if (m === -Infinity) return a;
  const [fa, fb] = [Math.exp(a.m - m), Math.exp(b.m - m)];
  return { m, l: fa * a.l + fb * b.l, o: a.o.map((x, d) => fa * x + fb * b.o[d]!) };
}

/** The elements [tokens][d] of one KV head. */
export function headOf(
  x: ArrayLike<number>,
  tokens: number,
  kvHeads: number,
  head: number,
  d: number,
): Float64Array {
  const y = new Float64Array(tokens * d);
  for (let t = 0; t < tokens; t++)
    for (let j = 0; j < d; j++) y[t * d + j] = x[(t * kvHeads + head) * d + j]!;
  return y;
}

/** One KV head of a run. */
interface HeadRun {
  run: PlacedRun;
  k: Float64Array;
  v: Float64Array;
}

/** Everything of one KV head. */
interface Seen {
  exact: HeadRun[];
  wave: (HeadRun & { index: Index })[];
  background: (HeadRun & { index: Index })[];
  tail: HeadRun;
}

/** Tokens that share one selection, as in the native code: as many as make 112 query rows. */
export function blockTokens(group: number): number {
  return Math.max(1, Math.floor(112 / group));
}

/** @param q [tokens][queryHeads][dk] */
export function attendTripartite(
  shape: Shape,
  q: ArrayLike<number>,
  call: Call,
  build: Build = EXACT,
): Attended {
  const { queryHeads, kvHeads, dv } = shape;
  const group = queryHeads / kvHeads;
  const slots = [...call.exact, ...call.wave].reduce((sum, run) => sum + run.tokens, 0);
  const out = new Float64Array(call.tokens * queryHeads * dv);
  const mass = new Float64Array(kvHeads * slots);
  const records: HeadRecord[] = [];
  for (let head = 0; head < kvHeads; head++) {
    const seen = seenBy(shape, call, head, build);
    for (let first = 0; first < call.tokens; first += blockTokens(group)) {
      const count = Math.min(blockTokens(group), call.tokens - first);
      const rows = Array.from({ length: count * group }, (_, r) => {
        const [token, queryHead] = [first + Math.floor(r / group), head * group + (r % group)];
        return { token, queryHead, q: queryOf(shape, q, call.scale, token, queryHead) };
      });
      const vectors = rows.map((row) => row.q);
      const chosen = retrieve(vectors, seen, call, shape.dk);
      const record = newRecord(vectors, seen, chosen, call, shape.dk);
      for (const row of rows) {
        const last = row.token === call.tokens - 1;
        const result = attendRow(row.q, row.token, call.sinks?.[row.queryHead], seen, chosen, call, shape);
        out.set(result.out, (row.token * queryHeads + row.queryHead) * dv);
        result.zones.forEach((share, zone) => (record.zones[zone]! += share / rows.length));
        if (last) result.mass.forEach((share, slot) => (mass[head * slots + slot]! += share));
      }
      records[head] = record;
    }
  }
  return { out, mass, records };
}

function seenBy({ kvHeads, dk, dv }: Shape, call: Call, head: number, build: Build): Seen {
  const plain = (run: PlacedRun): HeadRun => ({
    run,
    k: headOf(run.k, run.tokens, kvHeads, head, dk),
    v: headOf(run.v, run.tokens, kvHeads, head, dv),
  });
  const indexed = (run: PlacedRun) => {
    const own = plain(run);
    return { ...own, index: buildIndex(own.k, own.v, dk, dv, build) };
  };
  return {
    exact: call.exact.map(plain),
    wave: call.wave.map(indexed),
    background: call.background.map(indexed),
    tail: plain(call.tail),
  };
}

function queryOf(
  shape: Shape,
  q: ArrayLike<number>,
  scale: number,
  token: number,
  head: number,
): Float64Array {
  return Float64Array.from(
    { length: shape.dk },
    (_, d) => q[(token * shape.queryHeads + head) * shape.dk + d]! * scale,
  );
}

const capped = (logit: number, cap: number): number => (cap > 0 ? cap * Math.tanh(logit / cap) : logit);

/** The clusters retrieved for these rows, per run. */
function retrieve(rows: Float64Array[], seen: Seen, call: Call, dk: number): Set<number>[] {
  const logits = rows.map((q) =>
    Float64Array.from(
      seen.wave.flatMap(({ index: { fine } }) =>
        fine.sizes.map((_, c) => capped(dot(q, 0, fine.keys, c * dk, dk), call.softCap)),
      ),
    ),
  );
  const sizes = seen.wave.flatMap(({ index }) => index.fine.sizes);
  const weights = seen.wave.flatMap(({ run, index }) => index.fine.sizes.map((s) => s * Math.exp(run.bias)));
  const chosen = new Set(choose(rankClusters(logits, weights), sizes, call.budget));
  let first = 0;
  return seen.wave.map(({ index }) => {
    const own = index.fine.sizes.flatMap((_, c) => (chosen.has(first + c) ? [c] : []));
    first += index.fine.sizes.length;
    return new Set(own);
  });
}

function tokensOf({ partition: { order, starts } }: Index, c: number): number[] {
  return Array.from({ length: starts[c + 1]! - starts[c]! }, (_, i) => order[starts[c]! + i]!);
}

function newRecord(
  rows: Float64Array[],
  seen: Seen,
  chosen: Set<number>[],
  call: Call,
  dk: number,
): HeadRecord {
  const clusters = seen.wave.flatMap(({ index }, i) => [...chosen[i]!].map((c) => tokensOf(index, c).length));
  return {
    zones: new Float64Array(ZONES.length),
    retrievedClusters: clusters.length,
    retrievedTokens: clusters.reduce((a, b) => a + b, 0),
    // As costly as exact attention, and recorded of single tokens only.
    ...(call.tokens === 1 ? compare(rows, seen, chosen, call, dk) : { recall: 0, captured: 0 }),
  };
}

function attendRow(
  q: Float64Array,
  token: number,
  sink: number | undefined,
  seen: Seen,
  chosen: Set<number>[],
  call: Call,
  { dk, dv }: Shape,
) {
  const entries = [
    ...steadyEntries(q, token, seen, call, dk, dv),
    ...waveEntries(q, seen, chosen, call, dk, dv),
    ...coarseEntries(q, seen, call, dk, dv),
  ];
  const parts = ZONES.map((zone) =>
    partialOf(
      entries.filter((entry) => entry.zone === zone),
      dv,
    ),
  );
  const sinkPart: Partial = { m: sink ?? -Infinity, l: sink === undefined ? 0 : 1, o: new Float64Array(dv) };
  const whole = parts.reduce(merge, sinkPart);
  const zones = parts.map((part) => (part.l > 0 ? (Math.exp(part.m - whole.m) * part.l) / whole.l : 0));
  zones[0]! += sinkPart.l > 0 ? Math.exp(sinkPart.m - whole.m) / whole.l : 0;
  const slots = [...call.exact, ...call.wave].reduce((sum, run) => sum + run.tokens, 0);
  const mass = new Float64Array(slots);
  for (const { logit, slot } of entries) if (slot >= 0) mass[slot]! += Math.exp(logit - whole.m) / whole.l;
  return { out: whole.o.map((x) => x / whole.l), zones, mass };
}

/** Exact runs, seen whole, and the tail up to the token itself; within the window of positions when there is one. */
function steadyEntries(
  q: Float64Array,
  token: number,
  seen: Seen,
  call: Call,
  dk: number,
  dv: number,
): Entry[] {
  const entries: Entry[] = [];
  const { tail } = seen;
  const tailPosition = call.position - (tail.run.tokens - call.tokens);
  let slot = 0;
  for (const one of [...seen.exact, tail]) {
    const isTail = one === tail;
    const first = isTail ? tailPosition : one.run.position;
    const visible = isTail ? tail.run.tokens - call.tokens + token + 1 : one.run.tokens;
    for (let j = 0; j < one.run.tokens; j++) {
      const own = isTail ? -1 : slot++;
      if (j >= visible) continue;
      if (call.window > 0 && first + j <= call.position + token - call.window) continue;
      const logit = capped(dot(q, 0, one.k, j * dk, dk), call.softCap) + one.run.bias;
      entries.push({ logit, values: one.v, at: j * dv, size: 1, zone: 'steady', slot: own });
    }
  }
  return entries;
}

/** Retrieved clusters token by token; the others as size, centroid and mean value, when they are estimated. */
function waveEntries(
  q: Float64Array,
  seen: Seen,
  chosen: Set<number>[],
  call: Call,
  dk: number,
  dv: number,
): Entry[] {
  const entries: Entry[] = [];
  let slot = call.exact.reduce((sum, run) => sum + run.tokens, 0);
  seen.wave.forEach(({ run, k, v, index }, i) => {
    index.fine.sizes.forEach((size, c) => {
      if (chosen[i]!.has(c)) {
        for (const token of tokensOf(index, c)) {
          const logit = capped(dot(q, 0, k, token * dk, dk), call.softCap) + run.bias;
          entries.push({ logit, values: v, at: token * dv, size: 1, zone: 'retrieved', slot: slot + token });
        }
      } else if (call.estimate) {
        const logit = capped(dot(q, 0, index.fine.keys, c * dk, dk), call.softCap) + run.bias;
        entries.push({ logit, values: index.fine.values, at: c * dv, size, zone: 'estimated', slot: -1 });
      }
    });
    slot += run.tokens;
  });
  return entries;
}

/** Segments that the question is not about: estimated through their coarse clusters, with a bias. */
function coarseEntries(q: Float64Array, seen: Seen, call: Call, dk: number, dv: number): Entry[] {
  return seen.background.flatMap(({ run, index: { coarse } }) =>
    coarse.sizes.map((size, c): Entry => {
      const logit = capped(dot(q, 0, coarse.keys, c * dk, dk), call.softCap) + run.bias;
      return { logit, values: coarse.values, at: c * dv, size, zone: 'coarse', slot: -1 };
    }),
  );
}

/** The choice against exact attention over the wave runs alone. */
function compare(rows: Float64Array[], seen: Seen, chosen: Set<number>[], call: Call, dk: number) {
  const retrieved = seen.wave.flatMap(({ run, index }, i) => {
    const tokens = new Set([...chosen[i]!].flatMap((c) => tokensOf(index, c)));
    return Array.from({ length: run.tokens }, (_, t) => tokens.has(t));
  });
  const logits = rows.map((q) =>
    Float64Array.from(
      seen.wave.flatMap(({ run, k }) =>
        Array.from(
          { length: run.tokens },
          (_, t) => capped(dot(q, 0, k, t * dk, dk), call.softCap) + run.bias,
        ),
      ),
    ),
  );
  const mass = rankClusters(
    logits,
    retrieved.map(() => 1),
  );
  const best = [...mass.keys()].sort((a, b) => mass[b]! - mass[a]!).slice(0, 100);
  const captured = mass.reduce((sum, share, t) => sum + (retrieved[t] ? share : 0), 0) / rows.length;
  return { recall: best.filter((t) => retrieved[t]).length / Math.max(1, best.length), captured };
}
