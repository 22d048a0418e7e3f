import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { buildIndex, cluster, clusterLimit, dot, type Partition } from '../reference/clusters.ts';
import { createRandom } from '../reference/random.ts';
import { massBound } from '../reference/partial.ts';
import { headOf } from '../reference/seen.ts';
import { addon, effort, makeRun, nativeBuild, perInstructionSet, relativeError } from './wave-addon.ts';

/** Which cluster each point is in. */
function labels({ order, starts }: Partition): number[] {
  const own: number[] = [];
  for (let c = 0; c + 1 < starts.length; c++)
    for (let s = starts[c]!; s < starts[c + 1]!; s++) own[order[s]!] = c;
  return own;
}

/** Sum over the clusters of the length of the sum of their centred points: the best that unit centroids can give. */
function objective(x: Float32Array, points: number, d: number, { order, starts }: Partition): number {
  const mean = new Float64Array(d);
  x.forEach((value, i) => (mean[i % d]! += value / points));
  let total = 0;
  for (let c = 0; c + 1 < starts.length; c++) {
    const sum = new Float64Array(d);
    for (let s = starts[c]!; s < starts[c + 1]!; s++)
      for (let j = 0; j < d; j++) sum[j]! += x[order[s]! * d + j]! - mean[j]!;
    total += Math.sqrt(dot(sum, 0, sum, 0, d));
  }
  return total;
}

const SIZES = [1, 2, 7, 8, 23, 24, 40, 100, 333, 600, 1500];

perInstructionSet(import.meta.filename, (isa) => {
  describe(isa, () => {
    test('points lie where the float64 k-means puts them, but for near-ties', () => {
      for (const d of [16, 64, 80, 128]) {
        for (const points of SIZES.slice(0, effort < 1 ? 9 : undefined)) {
          const { normal } = createRandom(points * d);
          const x = Float32Array.from({ length: points * d }, (_, i) => normal() + (i % d) / 9);
          const expected = cluster(x, points, d);
          const actual = addon.cluster(x, points, d);
          const name = `${points} points of ${d}`;
          assert.ok(actual.starts.length - 1 <= clusterLimit(points), name);
          assert.deepEqual(
            [...Array.from(actual.order)].sort((a, b) => a - b),
            [...Array(points).keys()],
            name,
          );
          if (actual.starts.length === expected.starts.length) {
            const own = labels(actual);
            const wrong = labels(expected).filter((label, i) => label !== own[i]).length;
            assert.ok(wrong <= points / 50, `${name}: ${wrong} elsewhere`);
          }
          const [a, b] = [objective(x, points, d, actual), objective(x, points, d, expected)];
          assert.ok(Math.abs(a - b) <= 1e-3 * Math.max(1, b), `${name}: objective ${a} ${b}`);
        }
      }
    });

    test('equal points, null vectors and one token make clusters too', () => {
      for (const points of [1, 50]) {
        for (const value of [0, 3]) {
          const x = new Float32Array(points * 16).fill(value);
          const { order, starts } = addon.cluster(x, points, 16);
          assert.equal(order.length, points);
          assert.deepEqual([...Array.from(starts)], [0, points]);
        }
      }
    });

    test('the index holds the means and sizes of its clusters, and gives the same twice', () => {
      for (const f16 of [false, true]) {
        const shape = { kvHeads: 2, dk: 64, dv: 48, f16 };
        for (const tokens of [1, 30, 700]) {
          const run = makeRun(createRandom(tokens).normal, shape, tokens, { f16 });
          const built = addon.buildIndex(shape, run);
          assert.deepEqual(addon.buildIndex(shape, run), built);
          built.forEach((index, head) => {
            const [k, v] = [headOf(run.k, tokens, 2, head, 64), headOf(run.v, tokens, 2, head, 48)];
            const expected = buildIndex(k, v, 64, 48, nativeBuild(f16));
            assert.deepEqual([...index.order], [...Array.from(expected.partition.order)]);
            assert.deepEqual([...index.starts], [...Array.from(expected.partition.starts)]);
            for (const level of ['fine', 'coarse'] as const) {
              const tolerance = f16 ? 1e-4 : 1e-6;
              assert.ok(relativeError(index[level].keys, expected[level].keys) < tolerance);
              assert.ok(relativeError(index[level].values, expected[level].values) < tolerance);
              const sizes = Array.from(index[level].logSizes, (x) => Math.round(Math.exp(x)));
              assert.deepEqual(sizes, expected[level].sizes);
              assert.equal(sizes.reduce((a, b) => a + b, 0), tokens); // prettier-ignore
            }
          });
        }
      }
    });

    test('s exp(q.C) never exceeds the mass of the cluster', () => {
      const shape = { kvHeads: 1, dk: 64, dv: 64, f16: false };
      const { normal } = createRandom(4);
      const run = makeRun(normal, shape, 600);
      const [index] = addon.buildIndex(shape, run);
      const q = Float64Array.from({ length: 64 }, () => normal() / 4);
      index!.fine.logSizes.forEach((_, c) => {
        const members = index!.order.slice(index!.starts[c], index!.starts[c + 1]);
        const mass = members.reduce((sum, t) => sum + Math.exp(dot(q, 0, run.k, t * 64, 64)), 0);
        const bound = massBound(q, index!.fine.keys.subarray(c * 64, (c + 1) * 64), members.length);
        assert.ok(bound <= mass * (1 + 1e-5), `cluster ${c}: ${bound} ${mass}`);
      });
    });
  });
});
