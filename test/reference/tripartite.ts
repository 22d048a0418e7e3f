/**
 * Tripartite attention, the specification of native/wave/attention: float64, plain loops. (RetroInfer, section 4.2:
 * steady zone exact, retrieved clusters exact, and here ALL other clusters estimated; beyond the paper: coarse
 * summaries of segments in the background, sinks, soft caps, sliding windows.)
 */
import type { Shape } from './attention.ts';
import { dot, EXACT, type Build } from './clusters.ts';
import { merge, partialOf, type Partial } from './partial.ts';
import { capped, entriesOf, seenBy, tokensOf, ZONES, type Call, type Seen } from './seen.ts';
import { choose, rankClusters } from './selection.ts';

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

export function queryOf(
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

/** Per row the logits of all clusters of the wave runs, without biases. */
export function clusterLogits(rows: Float64Array[], seen: Seen, call: Call, dk: number): Float64Array[] {
  return rows.map((q) =>
    Float64Array.from(
      seen.wave.flatMap(({ index: { fine } }) =>
        fine.sizes.map((_, c) => capped(dot(q, 0, fine.keys, c * dk, dk), call.softCap)),
      ),
    ),
  );
}

/** The clusters retrieved for these rows, per run. */
export function retrieve(rows: Float64Array[], seen: Seen, call: Call, dk: number): Set<number>[] {
  const logits = clusterLogits(rows, seen, call, dk);
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

/** What one row sees with these clusters retrieved, per run. */
export function attendRow(
  q: Float64Array,
  token: number,
  sink: number | undefined,
  seen: Seen,
  chosen: Set<number>[],
  call: Call,
  shape: Shape,
) {
  const { dv } = shape;
  const entries = entriesOf(q, token, seen, chosen, call, shape);
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
