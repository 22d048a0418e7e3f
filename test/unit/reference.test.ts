import assert from 'node:assert/strict';
import { test } from 'node:test';
import { attend, type Shape } from '../reference/attention.ts';
import { buildIndex, clusterLimit, dot } from '../reference/clusters.ts';
import { createRandom } from '../reference/random.ts';
import { choose } from '../reference/selection.ts';
import { massBound, merge, partialOf } from '../reference/partial.ts';
import type { Call } from '../reference/seen.ts';
import { attendTripartite } from '../reference/tripartite.ts';

const SHAPE: Shape = { queryHeads: 4, kvHeads: 2, dk: 16, dv: 16 };

function makeCall(seed: number, changes: Partial<Call>) {
  const { normal } = createRandom(seed);
  const fill = (n: number) => Float64Array.from({ length: n }, normal);
  const run = (tokens: number) => ({
    tokens,
    k: fill(tokens * 32),
    v: fill(tokens * 32),
    bias: 0,
    position: 0,
  });
  const call: Call = {
    ...{
      tokens: 1,
      scale: 0.4,
      softCap: 0,
      sinks: null,
      window: 0,
      position: 900,
      budget: 50,
      estimate: true,
    },
    ...{ exact: [run(9)], wave: [run(120), run(1)], background: [run(60)], tail: run(5) },
    ...changes,
  };
  return { q: fill(call.tokens * 64), call };
}

const near = (a: ArrayLike<number>, b: ArrayLike<number>) =>
  Array.from(a).forEach((x, i) => assert.ok(Math.abs(x - b[i]!) < 1e-12, `${i}: ${x} ${b[i]}`));

test('s exp(q.C) never exceeds the sum of exp(q.k) over the cluster, and equals it where all keys are equal', () => {
  for (let seed = 0; seed < 300; seed++) {
    const { normal, integer } = createRandom(seed);
    const [d, s] = [16, integer(1, 40)];
    const spread = seed % 3 === 0 ? 0 : 3 * normal();
    const middle = Array.from({ length: d }, normal);
    const keys = Array.from({ length: s }, () => middle.map((x) => x + spread * normal()));
    const q = Array.from({ length: d }, normal);
    const centroid = middle.map((_, j) => keys.reduce((sum, key) => sum + key[j]! / s, 0));
    const mass = keys.reduce((sum, key) => sum + Math.exp(dot(q, 0, key, 0, d)), 0);
    const bound = massBound(q, centroid, s);
    assert.ok(bound <= mass * (1 + 1e-9), `${bound} ${mass}`);
    if (spread === 0) assert.ok(bound >= mass * (1 - 1e-9));
  }
});

test('the bound holds for every cluster of an index', () => {
  const { normal } = createRandom(5);
  const k = Float64Array.from({ length: 400 * 16 }, normal);
  const { partition, fine } = buildIndex(k, k, 16, 16);
  assert.ok(fine.sizes.length <= clusterLimit(400));
  const q = Float64Array.from({ length: 16 }, normal);
  fine.sizes.forEach((size, c) => {
    let mass = 0;
    for (let s = partition.starts[c]!; s < partition.starts[c + 1]!; s++)
      mass += Math.exp(dot(q, 0, k, partition.order[s]! * 16, 16));
    assert.ok(massBound(q, fine.keys.subarray(c * 16, (c + 1) * 16), size) <= mass * (1 + 1e-9));
  });
});

test('retrieval of everything is exact attention', () => {
  const { q, call } = makeCall(1, { budget: Infinity, background: [], tokens: 3 });
  const exact = attend(SHAPE, q, 3, call.scale, [...call.exact, ...call.wave], call.tail);
  near(attendTripartite(SHAPE, q, call).out, exact.out);
});

test('parts of what is seen merge to the whole', () => {
  const { normal } = createRandom(2);
  const values = Float64Array.from({ length: 160 }, normal);
  const entries = Array.from({ length: 10 }, (_, i) => ({
    ...{ logit: 30 * normal(), values, at: i * 16, size: 1 + i, slot: -1 },
    zone: 'steady' as const,
  }));
  const [a, b] = [partialOf(entries.slice(0, 4), 16), partialOf(entries.slice(4), 16)];
  const whole = partialOf(entries, 16);
  const merged = merge(a, b);
  near(merged.o.map((x) => x / merged.l), whole.o.map((x) => x / whole.l)); // prettier-ignore
  assert.deepEqual(merge(whole, partialOf([], 16)), whole);
});

test('the masses of the zones sum to 1, and a bias of -infinity hides the background', () => {
  for (const bias of [0, -4, -Infinity]) {
    const { q, call } = makeCall(3, {});
    call.background[0]!.bias = bias;
    for (const { zones } of attendTripartite(SHAPE, q, call).records) {
      near([zones.reduce((a, b) => a + b, 0)], [1]);
      assert.equal(zones[3]! > 0, bias > -Infinity);
    }
  }
});

test('clusters are chosen by rank until the budget is reached, of equal ranks the first', () => {
  assert.deepEqual(choose([0.5, 1, 0.5, 2], [10, 10, 10, 10], 25), [0, 1, 3]);
  assert.deepEqual(choose([1, 1], [10, 10], 0), []);
  assert.deepEqual(choose([1, 1], [10, 10], 100), [0, 1]);
});
