import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { cluster, clusterLimit, dot } from '../reference/clusters.ts';
import { HEAD_SIZES, relativeError } from './calls.ts';
import { SCHEDULES } from './driver.ts';
import { FORMATS } from './formats.ts';
import {
  buildPasses,
  expectedPrefill,
  gpuPasses,
  randomPoints,
  randomPrefill,
  runPasses,
  type Points,
  type Prefill,
  type PrefillOptions,
} from './passes.ts';

/** As in attention.test.ts. */
const TOLERANCE = gpuPasses ? { f16: 5e-4, bf16: 4e-3 } : { f16: 3e-6, bf16: 3e-5 };
const where = gpuPasses ? 'on the GPU' : 'emulated';
const RANDOM_CASES = 200;

let program = '';
before(() => {
  program = gpuPasses ?? buildPasses('passes');
});

function check(cases: Prefill[]): void {
  runPasses(program, cases).forEach((out, i) => {
    const error = relativeError(out, expectedPrefill(cases[i]!));
    assert.ok(error < TOLERANCE[cases[i]!.format], `${cases[i]!.name}: relative L2 ${error}`);
  });
}

describe(`${where}: several tokens of one layer`, () => {
  for (const headSize of HEAD_SIZES)
    for (const format of FORMATS)
      test(`heads of ${headSize}, ${format}: ${RANDOM_CASES / 10} random passes are as in float64`, () => {
        const seed = 1000 * headSize + (format === 'f16' ? 0 : 500);
        check(
          Array.from({ length: RANDOM_CASES / 10 }, (_, i) => randomPrefill(seed + i, { headSize, format })),
        );
      });

  const only = (what: string, options: PrefillOptions) => {
    test(what, () => check([0, 1, 2].map((i) => randomPrefill(9000 + i, options))));
  };
  only('sinks take mass', { sinks: true });
  only('soft caps', { softCap: true });
  only('sliding windows pass over the runs', { window: true, before: 200 });
  only('runs turned down and hidden ones', { biases: true });
  only('what was attended to elsewhere is merged in', { more: true });
  only('hundreds of tokens', { tokens: 150, group: 2, headSize: 64, before: 200 });

  test('every schedule gives the same bits', () => {
    const cases = Array.from({ length: 4 }, (_, i) => randomPrefill(7000 + i, { tokens: 20 }));
    const [inOrder, ...others] = SCHEDULES.map((seed) => runPasses(program, cases, seed));
    for (const results of others) assert.deepEqual(results, inOrder);
  });
});

/** Sum over the clusters of the length of the sum of their centred points. */
function objective(x: Float64Array, d: number, nearest: ArrayLike<number>): number {
  const points = nearest.length;
  const mean = new Float64Array(d);
  x.forEach((value, i) => (mean[i % d]! += value / points));
  const sums = new Map<number, Float64Array>();
  for (let i = 0; i < points; i++) {
    const sum = sums.get(nearest[i]!) ?? new Float64Array(d);
    for (let j = 0; j < d; j++) sum[j]! += x[i * d + j]! - mean[j]!;
    sums.set(nearest[i]!, sum);
  }
  return [...sums.values()].reduce((total, sum) => total + Math.sqrt(dot(sum, 0, sum, 0, d)), 0);
}

/** Which tokens share a cluster, whatever its number. */
function grouped(nearest: ArrayLike<number>): number[] {
  const first = new Map<number, number>();
  return Array.from(nearest, (c, i) => first.get(c) ?? (first.set(c, i), i));
}

describe(`${where}: k-means of the keys of a layer`, () => {
  const clusterings = (of: Points) => {
    const [nearest] = runPasses(program, [of]);
    return Array.from({ length: of.kvHeads }, (_, head) => {
      const x = of.keys.subarray(head * of.tokens * of.headSize, (head + 1) * of.tokens * of.headSize);
      const { order, starts } = cluster(x, of.tokens, of.headSize);
      const expected = new Uint32Array(of.tokens);
      for (let c = 0; c + 1 < starts.length; c++)
        for (let s = starts[c]!; s < starts[c + 1]!; s++) expected[order[s]!] = c;
      return { x, actual: nearest!.subarray(head * of.tokens, (head + 1) * of.tokens), expected };
    });
  };

  for (const headSize of HEAD_SIZES)
    for (const format of FORMATS)
      test(`heads of ${headSize}, ${format}: tokens lie where the float64 k-means puts them`, () => {
        for (const tokens of [1, 2, 7, 24, 100, 333]) {
          for (const { x, actual, expected } of clusterings(
            randomPoints(tokens * headSize, headSize, format, 1 + (tokens % 2), tokens),
          )) {
            assert.ok(actual.every((c) => c < clusterLimit(tokens)));
            const [own, best] = [objective(x, headSize, actual), objective(x, headSize, expected)];
            assert.ok(Math.abs(own - best) <= 1e-3 * Math.max(1, best), `${tokens} tokens: ${own} ${best}`);
            // A GPU's sums have another order, and near-ties may fall otherwise.
            if (!gpuPasses) assert.deepEqual(grouped(actual), grouped(expected), `${tokens} tokens`);
          }
        }
      });

  test('equal tokens and null vectors go to the first centroid', () => {
    for (const value of [0, 3])
      for (const tokens of [1, 50]) {
        const points = {
          ...randomPoints(1, 64, 'f16', 1, tokens),
          keys: new Float64Array(tokens * 64).fill(value),
        };
        assert.ok(runPasses(program, [points])[0]!.every((c) => c === 0));
      }
  });

  test('every schedule gives the same bits', () => {
    const points = [randomPoints(5, 64, 'f16', 2, 200), randomPoints(6, 80, 'bf16', 1, 90)];
    const [inOrder, ...others] = SCHEDULES.map((seed) => runPasses(program, points, seed));
    for (const results of others) assert.deepEqual(results, inOrder);
  });
});
