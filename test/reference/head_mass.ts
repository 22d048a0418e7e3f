/** How a head's queries spread their attention over segments, the specification of native/wave/head_mass. */
import { dot } from './clusters.ts';

/**
 * Each query attends to all keys of all segments, at equal weight, and to nothing else.
 * @param q [count][dk], multiplied by the softmax scale
 * @param segments per segment [tokens][dk], of one layer and KV head
 * @returns per segment its share of the mass, summed over the queries
 */
export function headMass(
  q: ArrayLike<number>,
  segments: readonly ArrayLike<number>[],
  dk: number,
): Float64Array {
  const mass = new Float64Array(segments.length);
  for (let at = 0; at < q.length; at += dk) {
    const logits = segments.map((keys) =>
      Array.from({ length: keys.length / dk }, (_, token) => dot(q, at, keys, token * dk, dk)),
    );
    const top = logits.flat().reduce((a, b) => Math.max(a, b), -Infinity);
    const sums = logits.map((own) => own.reduce((sum, logit) => sum + Math.exp(logit - top), 0));
    const total = sums.reduce((a, b) => a + b, 0);
    sums.forEach((sum, segment) => (mass[segment]! += sum / total));
  }
  return mass;
}
