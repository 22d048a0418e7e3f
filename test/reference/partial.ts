/** Attention over part of what a row sees, and the log-sum-exp merge of parts. */
import { dot } from './clusters.ts';
import type { Entry } from './seen.ts';

/** Attention over part of what a row sees: sum exp(logit - m), sum exp(logit - m) value. */
export interface Partial {
  m: number;
  l: number;
  o: Float64Array;
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
