import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { attend, type Shape } from '../reference/attention.ts';
import { dot } from '../reference/clusters.ts';
import { createRandom } from '../reference/random.ts';
import type { PlacedRun } from '../reference/seen.ts';
import {
  addon,
  attendNative,
  effort,
  makeRun,
  perInstructionSet,
  relativeError,
  rounded,
} from './wave-addon.ts';

const HEADS: Shape[] = [
  { queryHeads: 14, kvHeads: 2, dk: 64, dv: 64 },
  { queryHeads: 9, kvHeads: 3, dk: 64, dv: 64 },
  { queryHeads: 4, kvHeads: 4, dk: 80, dv: 80 },
  { queryHeads: 8, kvHeads: 1, dk: 96, dv: 96 },
  { queryHeads: 12, kvHeads: 2, dk: 128, dv: 128 },
  { queryHeads: 4, kvHeads: 1, dk: 256, dv: 256 },
  { queryHeads: 6, kvHeads: 2, dk: 32, dv: 48 },
];

/** Exact attention: no wave runs, no background. */
function native(
  shape: Shape,
  q: Float32Array,
  tokens: number,
  scale: number,
  exact: PlacedRun[],
  tail: PlacedRun,
  options: { f16?: boolean; threads?: number } = {},
) {
  const rest = { softCap: 0, sinks: null, window: 0, position: 0, budget: 0, estimate: true };
  return attendNative(shape, q, { ...rest, tokens, scale, exact, wave: [], background: [], tail }, options);
}

function overHeads(mass: Float32Array, { kvHeads }: Shape): Float64Array {
  const sums = new Float64Array(mass.length / kvHeads);
  mass.forEach((share, i) => (sums[i % sums.length]! += share));
  return sums;
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

/** The kernels of every instruction set can be called in any process. */
for (const isa of process.env.REPOWAVE_ISA === undefined ? addon.isas() : [process.env.REPOWAVE_ISA]) {
  const { normal, integer } = createRandom(9);
  const randoms = (n: number) => Float32Array.from({ length: n }, normal);

  test(`${isa}: halves widen exactly, all 65,536 of them`, () => {
    const halves = Uint16Array.from({ length: 65_536 }, (_, i) => i);
    const wide = addon.fromF16(isa, halves);
    halves.forEach((half, i) => {
      const [exponent, mantissa] = [(half >> 10) & 31, half & 1023];
      const magnitude = exponent === 0 ? mantissa * 2 ** -24 : (1024 + mantissa) * 2 ** (exponent - 25);
      const value = exponent === 31 ? (mantissa === 0 ? Infinity : NaN) : magnitude;
      assert.ok(Object.is(wide[i], half & 0x8000 ? -value : value), `of ${half}: ${wide[i]}`);
    });
  });

  test(`${isa}: steps around a mean become the numbers that they stand for, in their own place`, () => {
    for (let i = 0; i < 60; i++) {
      const [n, f16, step] = [16 * integer(1, 20), i % 2 === 0, Math.fround(Math.abs(normal()) / 100)];
      const mean = rounded(randoms(n), f16);
      const steps = Int8Array.from({ length: n }, (_, at) => (at < 2 ? 255 * at - 128 : integer(-127, 127)));
      const numbers = addon.fromSteps(isa, steps, step, mean, f16);
      const expected = rounded(
        mean.map((x, at) => x + step * steps[at]!),
        f16,
      );
      // A product and a sum in single precision, and one step of the stored numbers.
      numbers.forEach((x, at) => {
        const single = (Math.abs(mean[at]!) + 128 * step) * 2 ** -23;
        const stored = f16 ? Math.abs(expected[at]!) * 2 ** -10 : 0;
        assert.ok(Math.abs(x - expected[at]!) <= single + stored, `${x} for ${expected[at]}`);
      });
    }
  });

  test(`${isa}: score gives capped inner products, and leaves the rest of a row alone`, () => {
    for (let i = 0; i < 60; i++) {
      const [rows, dk, keys] = [integer(1, 20), 16 * integer(1, 16), integer(1, 150)];
      const [f16, softCap, stride] = [i % 2 === 0, i % 3 === 0 ? 5 : 0, keys + integer(0, 3)];
      const q = randoms(rows * dk).map((x) => x / Math.sqrt(dk));
      const k = rounded(randoms(keys * dk), f16);
      const logits = addon.score(isa, { rows, dk, keys, softCap, stride, f16 }, q, k);
      const expected = Float64Array.from({ length: rows * stride }, (_, at) => {
        const [r, key] = [Math.floor(at / stride), at % stride];
        if (key >= keys) return 0;
        const logit = dot(q, r * dk, k, key * dk, dk);
        return softCap > 0 ? softCap * Math.tanh(logit / softCap) : logit;
      });
      assert.ok(relativeError(logits, expected) < 2e-6, `${rows} ${dk} ${keys}`);
    }
  });

  test(`${isa}: weigh is a softmax over logits with biases, and a row that sees nothing stays empty`, () => {
    for (let i = 0; i < 60; i++) {
      const [rows, keys, dv] = [integer(1, 20), integer(1, 150), i % 5 === 0 ? 0 : 16 * integer(1, 16)];
      const [f16, bias] = [i % 2 === 0, normal()];
      const logits = randoms(rows * keys).map((x) => (integer(0, 5) === 0 ? -Infinity : 9 * x));
      logits.fill(-Infinity, 0, keys);
      const biases = i % 3 === 0 ? null : randoms(keys);
      const v = rounded(randoms(keys * dv), f16);
      const { m, l, o } = addon.weigh(isa, { rows, keys, dv, bias, f16 }, logits, biases, v);
      for (let r = 0; r < rows; r++) {
        const own = Array.from(
          { length: keys },
          (_, key) => logits[r * keys + key]! + bias + (biases?.[key] ?? 0),
        );
        const top = Math.max(...own);
        if (top === -Infinity) {
          assert.deepEqual(
            [m[r], l[r], ...o.subarray(r * dv, (r + 1) * dv)],
            [-Infinity, 0, ...Array<number>(dv).fill(0)],
          );
          continue;
        }
        const weights = own.map((logit) => Math.exp(logit - top));
        assert.ok(Math.abs(m[r]! - top) < 1e-5);
        assert.ok(relativeError([l[r]!], [weights.reduce((a, b) => a + b, 0)]) < 5e-6);
        if (dv === 0) continue;
        const sums = Array.from({ length: dv }, (_, d) =>
          weights.reduce((sum, w, key) => sum + w * v[key * dv + d]!, 0),
        );
        assert.ok(relativeError(o.subarray(r * dv, (r + 1) * dv), sums) < 5e-6);
      }
    }
  });

  test(`${isa}: add_mass adds weights to what was there`, () => {
    for (let n = 0; n < 70; n++) {
      const [logits, mass, biases] = [randoms(n), randoms(n), n % 2 === 0 ? null : randoms(n)];
      if (n > 3) logits[3] = -Infinity;
      const after = addon.addMass(isa, logits, biases, 2, 7, mass);
      const expected = mass.map((x, i) => x + Math.exp(logits[i]! + (biases?.[i] ?? 0) - 2) / 7);
      assert.ok(relativeError(after, expected) < 1e-6);
    }
  });

  test(`${isa}: multiply is a matrix product`, () => {
    for (let i = 0; i < 40; i++) {
      const [rows, columns, d] = [integer(1, 50), 16 * integer(1, 12), 16 * integer(1, 12)];
      const [a, bt] = [randoms(rows * d), randoms(d * columns)];
      const expected = new Float64Array(rows * columns);
      for (let r = 0; r < rows; r++)
        for (let x = 0; x < d; x++)
          for (let c = 0; c < columns; c++)
            expected[r * columns + c]! += a[r * d + x]! * bt[x * columns + c]!;
      assert.ok(relativeError(addon.multiply(isa, a, rows, bt, columns), expected) < 2e-6);
    }
  });
}

perInstructionSet(import.meta.filename, (isa) => {
  describe(isa, () => {
    for (const shape of HEADS) {
      for (const f16 of [false, true]) {
        const name = `${shape.queryHeads}/${shape.kvHeads} heads of ${shape.dk}/${shape.dv}, ${f16 ? 'f16' : 'f32'}`;
        test(`attention over stored runs and the tail: ${name}`, () => {
          const { normal, integer } = createRandom(shape.dk * 100 + shape.queryHeads + (f16 ? 1 : 0));
          for (const tokens of effort < 1 ? [1, 3] : [1, 3, 40]) {
            const views = [
              makeRun(normal, shape, integer(1, 200)),
              makeRun(normal, shape, 64, { bias: -4 }),
              makeRun(normal, shape, 1),
            ];
            const tail = makeRun(normal, shape, tokens + integer(0, 90));
            const q = Float32Array.from({ length: tokens * shape.queryHeads * shape.dk }, normal);
            const scale = 1.5 / Math.sqrt(shape.dk);
            const expected = attend(shape, q, tokens, scale, views, tail);
            const actual = native(shape, q, tokens, scale, views, tail, { f16, threads: 3 });
            // f16 storage rounds K and V to 11 bits; f32 leaves the rounding of the sums.
            assert.ok(relativeError(actual.out, expected.out) < (f16 ? 2e-3 : 3e-6), `${tokens} tokens`);
            if (tokens === 1)
              assert.ok(
                relativeError(overHeads(actual.mass, shape), expected.mass) < (f16 ? 4e-3 : 3e-6),
                'mass',
              );
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
      const run = (threads: number) => native(shape, q, 1, 0.2, views, tail, { threads });
      const one = run(1);
      const expected = attend(shape, q, 1, 0.2, views, tail);
      assert.ok(relativeError(one.out, expected.out) < 3e-6);
      assert.ok(relativeError(overHeads(one.mass, shape), expected.mass) < 3e-6);
      for (const threads of [2, 5]) assert.deepEqual(run(threads).out, one.out);
    });

    test('huge logits neither overflow nor lose the maximum', () => {
      const shape = { queryHeads: 2, kvHeads: 1, dk: 16, dv: 16 };
      const { normal } = createRandom(5);
      const views = [makeRun(normal, shape, 300)];
      const tail = makeRun(normal, shape, 1);
      const q = Float32Array.from({ length: 2 * 16 }, () => normal() * 300);
      const expected = attend(shape, q, 1, 1, views, tail);
      const actual = native(shape, q, 1, 1, views, tail);
      assert.ok(relativeError(actual.out, expected.out) < 1e-3);
    });
  });
});
