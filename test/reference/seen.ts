/** What one KV head and one query row see of a call: the specification of what attention goes over. */
import type { Run, Shape } from './attention.ts';
import { buildIndex, dot, type Build, type Index } from './clusters.ts';

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

/** What one row sees: logits with values, and where their mass is booked. */
export interface Entry {
  logit: number;
  values: ArrayLike<number>;
  at: number;
  /** s: how many tokens the entry stands for. */
  size: number;
  zone: Zone;
  slot: number;
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
export interface Seen {
  exact: HeadRun[];
  wave: (HeadRun & { index: Index })[];
  background: (HeadRun & { index: Index })[];
  tail: HeadRun;
}

export function seenBy({ kvHeads, dk, dv }: Shape, call: Call, head: number, build: Build): Seen {
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

export const capped = (logit: number, cap: number): number =>
  cap > 0 ? cap * Math.tanh(logit / cap) : logit;

export function tokensOf({ partition: { order, starts } }: Index, c: number): number[] {
  return Array.from({ length: starts[c + 1]! - starts[c]! }, (_, i) => order[starts[c]! + i]!);
}

/** All that a row sees; `chosen` are the clusters retrieved, per wave run. */
export function entriesOf(
  q: Float64Array,
  token: number,
  seen: Seen,
  chosen: Set<number>[],
  call: Call,
  { dk, dv }: Shape,
): Entry[] {
  return [
    ...steadyEntries(q, token, seen, call, dk, dv),
    ...waveEntries(q, seen, chosen, call, dk, dv),
    ...coarseEntries(q, seen, call, dk, dv),
  ];
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
