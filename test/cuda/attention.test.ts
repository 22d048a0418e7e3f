import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import {
  assertChoice,
  expectedCoarse,
  expectedMass,
  expectedOf,
  HEAD_SIZES,
  randomCase,
  relativeError,
  type Case,
  type Options,
} from './calls.ts';
import {
  buildEmulated,
  gpuDriver,
  kPageTokens,
  run,
  SCHEDULES,
  type Outcome,
  type Run,
  type Step,
  type Tile,
} from './driver.ts';
import { FORMATS } from './formats.ts';

/**
 * Relative L2 of the result, against float64 arithmetic over the same stored numbers. On a GPU powers of two and the
 * sums of the tensor cores are less exact: there it is what was asked for.
 */
const TOLERANCE = gpuDriver ? { f16: 5e-4, bf16: 4e-3 } : { f16: 3e-6, bf16: 3e-5 };
/** How far apart ranks must be, relatively, for the kernels to tell them apart. */
const RANKS = gpuDriver ? { f16: 1e-4, bf16: 1e-3 } : { f16: 3e-5, bf16: 1e-3 };
const where = gpuDriver ? 'on the GPU' : 'emulated';
const RANDOM_CASES = 200;
/** A seed that gives two KV heads. */
const TWO_HEADS = 9206;

let program = '';
before(() => {
  program = gpuDriver ?? buildEmulated('emulated');
});

const filled = (x: ArrayLike<number>, value: number) => new Float64Array(x.length).fill(value);

function assertRight(one: Case, outcome: Outcome): void {
  assertChoice(one, outcome, RANKS[one.format]);
  assert.ok(outcome.reports.every(({ overflow }) => overflow === 0));
  const error = relativeError(outcome.out, expectedOf(one, outcome.bits));
  assert.ok(error < TOLERANCE[one.format], `relative L2 ${error}`);
}

function check(cases: Case[], seed = -1): Outcome[] {
  const outcomes = run(
    program,
    cases.map(({ step }) => step),
    seed,
  );
  outcomes.forEach((outcome, i) => {
    try {
      assertRight(cases[i]!, outcome);
    } catch (error) {
      (error as Error).message = `${cases[i]!.name}: ${(error as Error).message}`;
      throw error;
    }
  });
  return outcomes;
}

describe(`${where}: one token of one layer`, () => {
  for (const headSize of HEAD_SIZES) {
    for (const format of FORMATS) {
      test(`heads of ${headSize}, ${format}: ${RANDOM_CASES / 10} random shapes are as in float64`, () => {
        const seed = 1000 * headSize + (format === 'f16' ? 0 : 500);
        const cases = Array.from({ length: RANDOM_CASES / 10 }, (_, i) =>
          randomCase(seed + i, { headSize, format }),
        );
        check(cases);
      });
    }
  }

  test('every schedule gives the same bits', () => {
    const cases = Array.from({ length: 6 }, (_, i) => randomCase(7000 + i));
    const [inOrder, ...others] = SCHEDULES.map((seed) => check(cases, seed));
    for (const outcomes of others) assert.deepEqual(outcomes, inOrder);
  });

  test('retrieving everything is exact attention, whatever the summaries say', () => {
    for (const format of FORMATS) {
      const cases = Array.from({ length: 4 }, (_, i) =>
        randomCase(8000 + i, { format, budget: 1 << 20, late: false, biases: false }),
      );
      const outcomes = check(cases);
      cases.forEach((one, i) => {
        for (const tile of one.step.tiles.flat()) if (tile.places) tile.values = filled(tile.values, 99);
        const [again] = run(program, [one.step]);
        assert.deepEqual(again!.out, outcomes[i]!.out);
      });
    }
  });

  test('clusters are found where they have been moved to', () => {
    const cases = [0, 1, 2].map((i) => randomCase(8100 + i, { waves: [200, 90], budget: 150 }));
    for (const { step } of cases) step.moves = false;
    const before = check(cases);
    for (const { step } of cases) step.moves = true;
    assert.deepEqual(check(cases), before);
  });

  const only = (what: string, options: Options) => {
    test(what, () => void check(Array.from({ length: 3 }, (_, i) => randomCase(9000 + i, options))));
  };
  only('sinks take mass', { sinks: true });
  only('soft caps', { softCap: true });
  only('sliding windows leave the end of runs', { window: true });
  only('runs turned down and hidden ones', { biases: true });
  only('clusters that cannot be had are estimated', { late: true });
  only('without estimation only what is retrieved counts', { estimate: false, budget: 50 });
  test('of clusters with the same rank the first', () => {
    const budgets = Array.from({ length: 12 }, (_, i) => 11 + 17 * i);
    check(
      budgets.map((budget) =>
        randomCase(9050, { ties: true, waves: [150, 50], budget, biases: false, late: false }),
      ),
    );
  });
  only('hundreds of clusters', { headSize: 64, waves: [3500], budget: 3000, late: false });
  only('more than eight query heads take several passes', { group: 27 });
});

test(`${where}: the mass of every token of runs and retrieved clusters is told, and of coarse summaries`, () => {
  const cases = Array.from({ length: 6 }, (_, i) =>
    randomCase(9500 + i, { window: false, group: 1 + 3 * i }),
  );
  for (const { step } of cases) step.mass = true;
  check(cases).forEach((outcome, i) => {
    const one = cases[i]!;
    for (let head = 0; head < one.shape.kvHeads; head++) {
      const room = one.step.maxPages * kPageTokens;
      const actual = outcome.mass.subarray(head * room, (head + 1) * room);
      const coarse = outcome.coarse.subarray(head * one.step.group, (head + 1) * one.step.group);
      expectedCoarse(one, head, outcome.bits).forEach((share, row) =>
        assert.ok(Math.abs(coarse[row]! - share) < 1e-4, `${one.name}: coarse`),
      );
      expectedMass(one, head, outcome.bits).forEach((mass, at) => {
        if (!Number.isNaN(mass)) assert.ok(Math.abs(actual[at]! - mass) < 1e-4 * one.step.group, one.name);
      });
    }
  });
});

describe(`${where}: numbers that are none`, () => {
  type Spoilt = Step & { tiles: [[Tile]]; runs: [[Run]] };
  const undefinedAt = (x: ArrayLike<number>, value: number) =>
    Float64Array.from(x, (own, i) => (i === 3 ? value : own));

  test('nothing of hidden runs and tiles is read', () => {
    for (const value of [NaN, Infinity]) {
      const one = randomCase(9100, { biases: false, late: false });
      const [before] = run(program, [one.step]);
      for (const tiles of one.step.tiles) {
        const { count, keys, values, logSizes } = tiles[0]!;
        tiles.push({
          count,
          bias: -Infinity,
          keys: filled(keys, value),
          values: filled(values, value),
          logSizes,
          places: null,
        });
      }
      for (const runs of one.step.runs) {
        const { tokens, k, v } = runs[0]!;
        runs.push({ tokens, bias: -Infinity, k: filled(k, value), v: filled(v, value) });
      }
      const [after] = run(program, [one.step]);
      assert.deepEqual(after!.out, before!.out);
    }
  });

  test('what is undefined makes its own KV head undefined and no other', () => {
    const one = randomCase(TWO_HEADS, { biases: false, late: false, waves: [60], budget: 0, estimate: true });
    assert.equal(one.shape.kvHeads, 2);
    const half = one.step.q.length / 2;
    const [clean] = run(program, [one.step]);
    for (const value of [NaN, Infinity]) {
      for (const spoil of [
        ({ tiles: [[tile]] }: Spoilt) => (tile.keys = undefinedAt(tile.keys, value)),
        ({ runs: [[run]] }: Spoilt) => (run.k = undefinedAt(run.k, value)),
        (step: Spoilt) => (step.q = Float32Array.from(step.q, (x, i) => (i < half ? value : x))),
      ]) {
        const step = structuredClone(one.step);
        spoil(step as Spoilt);
        const [spoilt] = run(program, [step]);
        assert.deepEqual(spoilt!.out.subarray(half), clean!.out.subarray(half));
        assert.ok(spoilt!.out.subarray(0, half).some(Number.isNaN), `${value} is lost`);
      }
    }
  });

  test('a cluster with an undefined summary is retrieved first, and its tokens count', () => {
    const one = randomCase(TWO_HEADS, {
      biases: false,
      late: false,
      waves: [60],
      budget: 30,
      estimate: true,
    });
    for (const value of [NaN, Infinity]) {
      const step = structuredClone(one.step);
      const [[tile]] = (step as Spoilt).tiles;
      tile.keys = undefinedAt(tile.keys, value);
      const [outcome] = run(program, [step]);
      assert.equal(outcome!.bits[0]! & 1, 1);
      const error = relativeError(outcome!.out, expectedOf(one, outcome!.bits));
      assert.ok(error < TOLERANCE[one.format], `relative L2 ${error}`);
    }
  });

  test('an undefined value makes its own KV head undefined', () => {
    const one = randomCase(9250, { biases: false, late: false, window: false });
    const { dk, dv } = one.shape;
    for (const value of [NaN, Infinity]) {
      const step = structuredClone(one.step);
      for (const [head, runs] of step.runs.entries())
        runs.push({
          tokens: 1,
          bias: 0,
          k: new Float64Array(dk),
          v: new Float64Array(dv).fill(head === 0 ? value : 0),
        });
      step.maxPages++;
      const { out } = run(program, [step])[0]!;
      assert.ok(out.subarray(0, step.group * dv).every((x) => !Number.isFinite(x)));
      assert.ok(out.subarray(step.group * dv).every(Number.isFinite));
    }
  });

  test('queries far outside of half precision are taken as they are', () => {
    for (const size of [1e6, 1e-6]) {
      const one = randomCase(9300, { format: 'f16', late: false, softCap: false });
      one.q.forEach((x, i) => (one.q[i] = x * size));
      one.call.scale = one.step.scale = 1 / size / Math.sqrt(one.shape.dk);
      check([one]);
    }
  });

  test('runs that need more pages than there is room for are told', () => {
    const one = randomCase(9400, { biases: false, window: false });
    one.step.maxPages = 1;
    one.step.runs.forEach((runs) =>
      runs.push({
        tokens: 20,
        bias: 0,
        k: new Float64Array(20 * one.shape.dk),
        v: new Float64Array(20 * one.shape.dv),
      }),
    );
    assert.ok(run(program, [one.step])[0]!.reports.every(({ overflow }) => overflow === 1));
  });
});
