import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createRequire } from 'node:module';
import path from 'node:path';
import { describe, test } from 'node:test';
import { attend, type Run, type Shape } from '../reference/attention.ts';
import { createRandom } from '../reference/random.ts';

/** Of test/native/kernels_addon.cpp. */
interface KernelsAddon {
  isas(): string[];
  toF16(isa: string, x: Float32Array): Uint16Array;
  attend(
    options: Shape & { f16: boolean; threads: number },
    q: Float32Array,
    tokens: number,
    scale: number,
    views: Run[],
    tail: Run,
    wantMass: boolean,
  ): { out: Float32Array; mass: Float32Array; isa: string };
}

const file = path.resolve(import.meta.dirname, '../../build/native/kernels_test.node');
const addon = createRequire(import.meta.url)(file) as KernelsAddon;

/** This file runs once per instruction set, since a process settles on one: see the last lines. */
const isa = process.env.REPOWAVE_ISA;

function makeRun(normal: () => number, shape: Shape, tokens: number, bias = 0): Run {
  const fill = (d: number) => Float32Array.from({ length: tokens * shape.kvHeads * d }, normal);
  return { tokens, k: fill(shape.dk), v: fill(shape.dv), bias };
}

function relativeError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  let difference = 0;
  let norm = 0;
  for (let i = 0; i < expected.length; i++) {
    difference += (actual[i]! - expected[i]!) ** 2;
    norm += expected[i]! ** 2;
  }
  return Math.sqrt(difference / norm);
}

const HEADS: Shape[] = [
  { queryHeads: 14, kvHeads: 2, dk: 64, dv: 64 },
  { queryHeads: 9, kvHeads: 3, dk: 64, dv: 64 },
  { queryHeads: 4, kvHeads: 4, dk: 80, dv: 80 },
  { queryHeads: 8, kvHeads: 1, dk: 96, dv: 96 },
  { queryHeads: 12, kvHeads: 2, dk: 128, dv: 128 },
  { queryHeads: 4, kvHeads: 1, dk: 256, dv: 256 },
  { queryHeads: 6, kvHeads: 2, dk: 32, dv: 48 },
];

if (isa === undefined) {
  for (const name of addon.isas()) {
    test(`the ${name} kernels agree with the float64 reference`, () => {
      execFileSync(process.execPath, ['--import', 'tsx', '--test', import.meta.filename], {
        env: { ...process.env, REPOWAVE_ISA: name, NODE_TEST_CONTEXT: undefined },
        stdio: ['ignore', 'pipe', 'inherit'],
      });
    });
  }
  test('all instruction sets round to the same half-precision numbers, also the odd ones', () => {
    const { uniform } = createRandom(7);
    const odd = [
      0,
      -0,
      1,
      65504,
      65519.99,
      65520,
      1e9,
      2 ** -14,
      2 ** -15,
      2 ** -24,
      2 ** -25,
      6e-8,
      NaN,
      Infinity,
    ];
    const x = Float32Array.from([
      ...odd,
      ...Array.from({ length: 5001 }, () => (uniform() - 0.5) * 2 ** (uniform() * 40 - 28)),
    ]);
    const [first, ...rest] = addon.isas().map((name) => addon.toF16(name, x));
    assert.deepEqual(
      [...first!.subarray(0, 12)],
      [0, 0x8000, 0x3c00, 0x7bff, 0x7bff, 0x7c00, 0x7c00, 0x400, 0x200, 1, 0, 1],
    );
    for (const other of rest) {
      for (let i = 0; i < x.length; i++)
        if (!Number.isNaN(x[i])) assert.equal(other[i], first![i], `of ${x[i]}`);
    }
  });
} else {
  describe(isa, () => {
    for (const shape of HEADS) {
      for (const f16 of [false, true]) {
        const name = `${shape.queryHeads}/${shape.kvHeads} heads of ${shape.dk}/${shape.dv}, ${f16 ? 'f16' : 'f32'}`;
        test(`attention over stored runs and the tail: ${name}`, () => {
          const { normal, integer } = createRandom(shape.dk * 100 + shape.queryHeads + (f16 ? 1 : 0));
          for (const tokens of [1, 3, 40]) {
            const views = [
              makeRun(normal, shape, integer(1, 200)),
              makeRun(normal, shape, 64, -4),
              makeRun(normal, shape, 1),
            ];
            const tail = makeRun(normal, shape, tokens + integer(0, 90));
            const q = Float32Array.from({ length: tokens * shape.queryHeads * shape.dk }, normal);
            const scale = 1.5 / Math.sqrt(shape.dk);
            const expected = attend(shape, q, tokens, scale, views, tail);
            const actual = addon.attend(
              { ...shape, f16, threads: 3 },
              q,
              tokens,
              scale,
              views,
              tail,
              tokens === 1,
            );
            assert.equal(actual.isa, isa);
            // f16 storage rounds K and V to 11 bits; f32 leaves the rounding of the sums.
            assert.ok(relativeError(actual.out, expected.out) < (f16 ? 2e-3 : 3e-6), `${tokens} tokens`);
            if (tokens === 1)
              assert.ok(relativeError(actual.mass, expected.mass) < (f16 ? 4e-3 : 3e-6), 'mass');
          }
        });
      }
    }

    test('thousands of keys are split and merged, and the number of threads changes no bit', () => {
      const shape = HEADS[0]!;
      const { normal } = createRandom(3);
      const views = [makeRun(normal, shape, 1500), makeRun(normal, shape, 70), makeRun(normal, shape, 2500)];
      const tail = makeRun(normal, shape, 30);
      const q = Float32Array.from({ length: shape.queryHeads * shape.dk }, normal);
      const run = (threads: number) =>
        addon.attend({ ...shape, f16: false, threads }, q, 1, 0.2, views, tail, true);
      const one = run(1);
      const expected = attend(shape, q, 1, 0.2, views, tail);
      assert.ok(relativeError(one.out, expected.out) < 3e-6);
      assert.ok(relativeError(one.mass, expected.mass) < 3e-6);
      for (const threads of [2, 5]) assert.deepEqual(run(threads).out, one.out);
    });

    test('huge logits neither overflow nor lose the maximum', () => {
      const shape = { queryHeads: 2, kvHeads: 1, dk: 16, dv: 16 };
      const { normal } = createRandom(5);
      const views = [makeRun(normal, shape, 300)];
      const tail = makeRun(normal, shape, 1);
      const q = Float32Array.from({ length: 2 * 16 }, () => normal() * 300);
      const expected = attend(shape, q, 1, 1, views, tail);
      const actual = addon.attend({ ...shape, f16: false, threads: 1 }, q, 1, 1, views, tail, false);
      assert.ok(relativeError(actual.out, expected.out) < 1e-3);
    });
  });
}
