import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { attend, type Shape } from '../reference/attention.ts';
import { createRandom } from '../reference/random.ts';
import type { Call } from '../reference/seen.ts';
import { attendTripartite } from '../reference/tripartite.ts';
import {
  attendNative,
  effort,
  makeRun,
  nativeBuild,
  perInstructionSet,
  relativeError,
} from './wave-addon.ts';

type Random = ReturnType<typeof createRandom>;

const EVERYTHING = 1_000_000_000;
const HEAD_SIZES = [16, 32, 48, 64, 64, 64, 80, 96, 128, 128, 256];

const pick = <T>(random: Random, list: readonly T[]): T => list[random.integer(0, list.length - 1)]!;

function randomShape(random: Random): Shape {
  const kvHeads = pick(random, [1, 1, 1, 2, 2, 3]);
  const dk = pick(random, HEAD_SIZES);
  const dv = random.uniform() < 0.7 ? dk : pick(random, HEAD_SIZES);
  // Small heads carry the big groups: the float64 reference pays for every product.
  return { kvHeads, dk, dv, queryHeads: kvHeads * random.integer(1, dk * kvHeads > 128 ? 5 : 16) };
}

function randomCall(random: Random, shape: Shape, f16: boolean): Call {
  const { normal, integer, uniform } = random;
  const tokens = uniform() < 0.6 ? 1 : uniform() < 0.8 ? integer(2, 9) : integer(10, 40);
  const most = tokens > 9 ? 60 : tokens > 1 ? 150 : 600;
  const bias = () => (uniform() < 0.7 ? 0 : normal());
  const position = integer(0, 2000);
  const runs = (count: number, size: number) =>
    Array.from({ length: count }, () => {
      const length = Math.max(1, Math.floor(size * uniform() ** 2));
      return makeRun(normal, shape, length, {
        bias: bias(),
        position: Math.max(0, position - integer(0, 300)),
        f16,
      });
    });
  const wave = runs(integer(uniform() < 0.15 ? 0 : 1, 3), most);
  const waveTokens = wave.reduce((sum, run) => sum + run.tokens, 0);
  return {
    tokens,
    scale: pick(random, [0.5, 1, 1.5, 3]) / Math.sqrt(shape.dk),
    softCap: uniform() < 0.25 ? pick(random, [2, 30]) : 0,
    sinks: uniform() < 0.25 ? Float32Array.from({ length: shape.queryHeads }, normal) : null,
    window: uniform() < 0.25 ? integer(1, 150) : 0,
    position,
    budget: pick(random, [0, 1, integer(0, waveTokens), integer(0, waveTokens), waveTokens, EVERYTHING]),
    estimate: uniform() < 0.8,
    exact: runs(integer(0, 2), most / 3),
    wave,
    background: runs(integer(0, 2), most),
    tail: makeRun(normal, shape, tokens + integer(0, 40), { f16 }),
  };
}

const queries = ({ normal }: Random, shape: Shape, tokens: number): Float32Array =>
  new Float32Array(tokens * shape.queryHeads * shape.dk).map(normal);

/** A call that tests change one thing of. */
function plainCall({ normal, integer }: Random, shape: Shape, changes: Partial<Call> = {}): Call {
  const tokens = changes.tokens ?? 1;
  return {
    ...{ tokens, scale: 1.5 / Math.sqrt(shape.dk), softCap: 0, sinks: null, window: 0, position: 5000 },
    ...{ budget: 80, estimate: true, background: [] },
    exact: [makeRun(normal, shape, integer(1, 90))],
    wave: [makeRun(normal, shape, 300), makeRun(normal, shape, 1), makeRun(normal, shape, 170)],
    tail: makeRun(normal, shape, tokens + 20),
    ...changes,
  };
}

const sum = (x: ArrayLike<number>): number => Array.from(x).reduce((a, b) => a + b, 0);
const SHAPE: Shape = { queryHeads: 6, kvHeads: 2, dk: 64, dv: 48 };

/** Everything that the native side tells, against the reference. */
function checkAgainstReference(
  shape: Shape,
  q: Float32Array,
  call: Call,
  f16: boolean,
  threads: number,
  name: string,
) {
  const expected = attendTripartite(shape, q, call, nativeBuild(f16));
  const actual = attendNative(shape, q, call, { f16, threads, sample: true });
  // Both sides compute with the same stored numbers, so half precision costs only the rounding of centroids.
  const tolerance = f16 ? 1e-4 : 1e-5;
  const near = (a: number, b: number, what: string) =>
    assert.ok(Math.abs(a - b) < 2e-5, `${name}: ${what} ${a} ${b}`);
  const error = relativeError(actual.out, expected.out);
  assert.ok(error < tolerance, `${name}: out ${error}`);
  if (call.tokens > 1) return error;
  assert.ok(relativeError(actual.mass, expected.mass) < tolerance, `${name}: mass`);
  expected.records.forEach((record, head) => {
    const native = actual.records[head]!;
    record.zones.forEach((share, zone) => near(native.zones[zone]!, share, `zone ${zone}`));
    near(sum(native.zones), 1, 'all zones');
    assert.equal(native.retrievedClusters, record.retrievedClusters, name);
    assert.equal(native.retrievedTokens, record.retrievedTokens, name);
    if (call.wave.length === 0) return;
    near(native.captured!, record.captured, 'captured');
    assert.ok(Math.abs(native.recall! - record.recall) < 0.011, `${name}: recall`);
  });
  return error;
}

perInstructionSet(import.meta.filename, (isa) => {
  describe(isa, () => {
    for (const f16 of [false, true]) {
      const count = Math.ceil(260 * effort);
      test(`tripartite attention equals the float64 reference on ${count} random shapes, ${f16 ? 'f16' : 'f32'}`, (t) => {
        let worst = 0;
        for (let seed = 0; seed < count; seed++) {
          const random = createRandom(seed * 2 + (f16 ? 1 : 0));
          const shape = randomShape(random);
          const call = randomCall(random, shape, f16);
          const q = queries(random, shape, call.tokens);
          const name = `seed ${seed} ${JSON.stringify(shape)} ${call.tokens} tokens, budget ${call.budget}`;
          worst = Math.max(worst, checkAgainstReference(shape, q, call, f16, random.integer(1, 4), name));
        }
        t.diagnostic(`worst relative error ${worst}`);
      });
    }

    test('retrieval of everything is exact attention', () => {
      const random = createRandom(11);
      for (const tokens of [1, 7]) {
        const call = plainCall(random, SHAPE, { tokens, budget: EVERYTHING });
        const q = queries(random, SHAPE, tokens);
        const exact = attend(SHAPE, q, tokens, call.scale, [...call.exact, ...call.wave], call.tail);
        assert.ok(relativeError(attendNative(SHAPE, q, call).out, exact.out) < 3e-6);
        const moved = { ...call, exact: [...call.exact, ...call.wave], wave: [] };
        assert.ok(relativeError(attendNative(SHAPE, q, moved).out, exact.out) < 3e-6);
      }
    });

    test('with estimation off, clusters that are not retrieved are not seen', () => {
      const random = createRandom(12);
      const call = plainCall(random, SHAPE, { budget: 0, estimate: false });
      const q = queries(random, SHAPE, 1);
      const without = attend(SHAPE, q, 1, call.scale, call.exact, call.tail);
      assert.ok(relativeError(attendNative(SHAPE, q, call).out, without.out) < 3e-6);
      assert.ok(relativeError(attendNative(SHAPE, q, { ...call, estimate: true }).out, without.out) > 1e-2);
    });

    test('the order of the runs, and with it of all clusters, changes nothing beyond rounding', () => {
      const random = createRandom(13);
      const call = plainCall(random, SHAPE);
      const q = queries(random, SHAPE, 1);
      const turned = { ...call, wave: [...call.wave].reverse(), exact: [...call.exact].reverse() };
      assert.ok(relativeError(attendNative(SHAPE, q, turned).out, attendNative(SHAPE, q, call).out) < 2e-6);
    });

    test('the number of threads changes no bit, also where thousands of keys and clusters are split', () => {
      const random = createRandom(14);
      const shape = { queryHeads: 14, kvHeads: 2, dk: 64, dv: 64 };
      for (const tokens of [1, 40]) {
        const size = tokens === 1 && effort === 1 ? 6000 : 700;
        const call = plainCall(random, shape, {
          tokens,
          budget: tokens === 1 ? 1500 : 200,
          exact: [makeRun(random.normal, shape, 2500)],
          wave: [makeRun(random.normal, shape, size), makeRun(random.normal, shape, 90)],
          background: [makeRun(random.normal, shape, 1000, { bias: -4 })],
        });
        const q = queries(random, shape, tokens);
        const one = attendNative(shape, q, call, { threads: 1, sample: true });
        for (const threads of [2, 5]) {
          const more = attendNative(shape, q, call, { threads, sample: true, repeat: 3 });
          assert.deepEqual(more, one);
        }
      }
    });

    test('many thousand wave tokens are split, merged and booked like in the reference', () => {
      const random = createRandom(15);
      const shape = { queryHeads: 3, kvHeads: 1, dk: 16, dv: 16 };
      const call = plainCall(random, shape, {
        budget: 2500,
        exact: [makeRun(random.normal, shape, 1500)],
        wave: Array.from({ length: 5 }, () => makeRun(random.normal, shape, 4500)),
        background: [makeRun(random.normal, shape, 3000, { bias: -2 })],
      });
      checkAgainstReference(shape, queries(random, shape, 1), call, false, 3, 'long');
    });

    test('a bias of -infinity hides a run, whatever zone it is in', () => {
      const random = createRandom(16);
      for (const tokens of [1, 5]) {
        const call = plainCall(random, SHAPE, { tokens });
        const q = queries(random, SHAPE, tokens);
        const hidden = () => makeRun(random.normal, SHAPE, 100, { bias: -Infinity });
        const more = { ...call, exact: [hidden(), ...call.exact], background: [hidden()] };
        const expected = attendNative(SHAPE, q, call);
        assert.ok(relativeError(attendNative(SHAPE, q, more).out, expected.out) < 2e-6);
        const all = { ...call, budget: EVERYTHING };
        const withWave = { ...all, wave: [...call.wave, hidden()] };
        assert.ok(
          relativeError(attendNative(SHAPE, q, withWave).out, attendNative(SHAPE, q, all).out) < 2e-6,
        );
      }
    });

    test('nothing of a hidden run leaks, not even infinities and NaN', () => {
      const random = createRandom(17);
      for (const tokens of [1, 5]) {
        const call = plainCall(random, SHAPE, { tokens });
        const q = queries(random, SHAPE, tokens);
        const bad = makeRun(random.normal, SHAPE, 100, { bias: -Infinity });
        const spoiled = (x: ArrayLike<number>) =>
          Float32Array.from(x, (y, i) => [NaN, Infinity, -Infinity, y][i % 4]!);
        Object.assign(bad, { k: spoiled(bad.k), v: spoiled(bad.v) });
        for (const place of ['exact', 'wave', 'background'] as const) {
          const { out, mass } = attendNative(SHAPE, q, { ...call, [place]: [...call[place], bad] });
          assert.ok(
            relativeError(out, attendNative(SHAPE, q, call).out) < 2e-6,
            `${place}, ${tokens} tokens`,
          );
          if (tokens === 1) assert.ok(mass.every(Number.isFinite), place);
        }
      }
    });

    test('hidden wave runs only: the rest is seen as if they were not there', () => {
      const random = createRandom(18);
      const call = plainCall(random, SHAPE, {
        wave: [makeRun(random.normal, SHAPE, 90, { bias: -Infinity })],
      });
      const q = queries(random, SHAPE, 1);
      const { out, mass, records } = attendNative(SHAPE, q, call, { sample: true });
      assert.ok(relativeError(out, attendNative(SHAPE, q, { ...call, wave: [] }).out) < 2e-6);
      assert.ok(mass.every(Number.isFinite));
      for (const record of records) assert.ok(Math.abs(sum(record.zones) - 1) < 1e-5);
    });

    test('what a window hides has no mass, also when the memory held other logits before', () => {
      const random = createRandom(19);
      const exact = [
        makeRun(random.normal, SHAPE, 400, { position: 4600 }),
        makeRun(random.normal, SHAPE, 90),
      ];
      const call = plainCall(random, SHAPE, { exact, wave: [], window: 70 });
      checkAgainstReference(SHAPE, queries(random, SHAPE, 1), call, false, 2, 'window');
    });

    test('a single steady chunk books sinks like many do', () => {
      const random = createRandom(20);
      const sinks = Float32Array.from({ length: SHAPE.queryHeads }, () => 2);
      const call = plainCall(random, SHAPE, { wave: [], sinks });
      checkAgainstReference(SHAPE, queries(random, SHAPE, 1), call, false, 1, 'sinks');
    });

    test('clusters that cannot be had are estimated like those that were not chosen, and counted', () => {
      const random = createRandom(22);
      for (const tokens of [1, 5])
        for (const lack of [{ cacheBytes: 0 }, { wait: false }]) {
          const call = plainCall(random, SHAPE, { tokens });
          const q = queries(random, SHAPE, tokens);
          const late = attendNative(SHAPE, q, call, lack);
          const none = attendNative(SHAPE, q, { ...call, budget: 0 });
          assert.ok(relativeError(late.out, none.out) < 2e-6);
          assert.ok(relativeError(attendNative(SHAPE, q, call).out, none.out) > 1e-3);
          if (tokens > 1) continue;
          assert.deepEqual(late.mass, none.mass);
          late.records.forEach(({ lateClusters, retrievedClusters, retrievedTokens, zones }, head) => {
            const { records } = attendNative(SHAPE, q, call);
            assert.equal(lateClusters, records[head]!.retrievedClusters);
            assert.equal(records[head]!.lateClusters, 0);
            assert.deepEqual([retrievedClusters, retrievedTokens], [0, 0]);
            assert.ok(Math.abs(sum(zones) - 1) < 1e-5);
          });
        }
    });

    test('with room for some of the chosen clusters, those are attended and the others estimated', () => {
      const random = createRandom(23);
      const call = plainCall(random, SHAPE);
      const q = queries(random, SHAPE, 1);
      const all = attendNative(SHAPE, q, call);
      const some = attendNative(SHAPE, q, call, { cacheBytes: 40_000 });
      some.records.forEach(({ lateClusters, retrievedClusters, zones }, head) => {
        assert.equal(lateClusters + retrievedClusters, all.records[head]!.retrievedClusters);
        assert.ok(Math.abs(sum(zones) - 1) < 1e-5);
      });
      const late = some.records.map(({ lateClusters }) => lateClusters);
      assert.ok(
        sum(late) > 0 && sum(late) < sum(all.records.map(({ retrievedClusters }) => retrievedClusters)),
      );
    });

    test('runs with biases of their own are compared with exact attention as they are seen', () => {
      const random = createRandom(21);
      const wave = [3, 0, -3].map((bias) => makeRun(random.normal, SHAPE, 200, { bias }));
      const call = plainCall(random, SHAPE, { wave });
      checkAgainstReference(SHAPE, queries(random, SHAPE, 1), call, false, 1, 'biases');
    });
  });
});
