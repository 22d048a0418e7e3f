import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRandom } from '../reference/random.ts';
import { choose } from '../reference/selection.ts';
import { addon } from './wave-addon.ts';

function check(ranks: number[], runs: number[][], budget: number, name: string): void {
  const single = Float32Array.from(ranks);
  const chosen = addon.choose(
    single,
    runs.map((sizes) => Uint32Array.from(sizes)),
    budget,
  );
  assert.deepEqual([...chosen], choose(single, runs.flat(), budget), `${name}, budget ${budget}`);
}

test('the histogram chooses what a plain sort chooses, over thousands of random cases', () => {
  const { uniform, integer } = createRandom(1);
  const kinds: (() => number)[] = [
    uniform,
    () => uniform() ** 20,
    () => Math.exp(-90 * uniform()),
    () => integer(0, 3) / 4,
    () => 0,
    () => (uniform() < 0.5 ? 0 : uniform()),
    () => 1 + uniform() * 1e-6, // all in one bucket
    () => 1e-42 * integer(0, 9), // denormal
  ];
  for (let seed = 0; seed < 4000; seed++) {
    const runs = Array.from({ length: integer(0, 4) }, () =>
      Array.from({ length: integer(0, seed % 50 === 0 ? 400 : 25) }, () => integer(1, 40)),
    );
    const kind = kinds[seed % kinds.length]!;
    const ranks = runs.flat().map(() => kind());
    const tokens = runs.flat().reduce((a, b) => a + b, 0);
    for (const budget of [0, 1, integer(0, tokens), tokens - 1, tokens, tokens + 1, 2 ** 40]) {
      if (budget >= 0) check(ranks, runs, budget, `case ${seed}`);
    }
  }
});

test('of equal ranks the first clusters are taken, until the budget is reached', () => {
  check([1, 1, 1, 1], [[5, 5], [5, 5]], 6, 'equal'); // prettier-ignore
  assert.deepEqual([...addon.choose(Float32Array.of(1, 1, 1, 1), [Uint32Array.of(5, 5, 5, 5)], 6)], [0, 1]);
  assert.deepEqual([...addon.choose(Float32Array.of(0, 2, 0, 1), [Uint32Array.of(5, 5, 5, 5)], 5)], [1]);
});
