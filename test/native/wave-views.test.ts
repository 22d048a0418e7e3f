/** What is made of stored segments: head mass, and the runs that views give to attention. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, describe, test } from 'node:test';
import { headMass } from '../reference/head_mass.ts';
import { createRandom } from '../reference/random.ts';
import { headOf, type Call, type PlacedRun } from '../reference/seen.ts';
import { attendTripartite } from '../reference/tripartite.ts';
import {
  addon,
  DETAIL,
  effort,
  makeRun,
  nativeBuild,
  perInstructionSet,
  relativeError,
  type HeadQueries,
  type NativeView,
  type Stored,
} from './wave-addon.ts';

type Random = ReturnType<typeof createRandom>;

const LAYERS = 3;
const WITHOUT_INDEX = 1;
/** Bytes in memory, enough for all. */
const ROOM = 1 << 28;

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'repowave-views-'));
after(() => fs.rmSync(folder, { recursive: true }));

interface Written {
  file: string;
  /** Per layer. */
  runs: PlacedRun[];
}

function writeSegments(random: Random, shape: Stored, count: number, most: number): Written[] {
  return Array.from({ length: count }, (_, i) => {
    const tokens = random.integer(1, most);
    const runs = Array.from({ length: LAYERS }, () =>
      makeRun(random.normal, shape, tokens, { f16: shape.f16 }),
    );
    const file = path.join(folder, `${i}.seg`);
    addon.writeSegment(file, shape, runs, '{}', 1, [WITHOUT_INDEX]);
    return { file, runs };
  });
}

function randomShape({ integer, uniform }: Random): Stored {
  return {
    kvHeads: integer(1, 3),
    dk: 16 * integer(1, 6),
    dv: 16 * integer(1, 6),
    f16: uniform() < 0.5,
  };
}

/** Some of the segments in their order, as a question or a gate that looks again may want them. */
function randomLook({ integer, uniform, normal }: Random, segments: number): NativeView[] {
  const details = Object.values(DETAIL);
  return Array.from({ length: segments }, (_, segment) => ({
    segment,
    detail: details[integer(0, 2)]!,
    bias: [0, -4, normal(), -Infinity][integer(0, 3)]!,
    position: integer(0, 300),
  })).filter(() => uniform() < 0.8);
}

/** The views of a layer as the runs they stand for. */
function callOf(base: Call, written: Written[], look: NativeView[], layer: number): Call {
  const indexed = layer !== WITHOUT_INDEX;
  const runs = (wanted: (detail: number) => boolean) =>
    look
      .filter(({ detail }) => wanted(detail))
      .map(({ segment, bias, position }) => ({ ...written[segment]!.runs[layer]!, bias, position }));
  return {
    ...base,
    exact: runs((detail) => detail === DETAIL.exact || (detail === DETAIL.wave && !indexed)),
    wave: runs((detail) => detail === DETAIL.wave && indexed),
    background: runs((detail) => detail === DETAIL.coarse && indexed),
  };
}

perInstructionSet(import.meta.filename, (isa) => {
  describe(isa, () => {
    test('the mass of heads over segments equals the float64 reference on random shapes', () => {
      for (let seed = 0; seed < 40 * effort; seed++) {
        const random = createRandom(seed);
        const shape = randomShape(random);
        const written = writeSegments(random, shape, random.integer(1, 6), 200);
        const heads: HeadQueries[] = Array.from({ length: random.integer(1, 4) }, () => ({
          layer: random.integer(0, LAYERS - 1),
          kvHead: random.integer(0, shape.kvHeads - 1),
          q: new Float32Array(random.integer(0, 40) * shape.dk).map(
            () => (2 * random.normal()) / Math.sqrt(shape.dk),
          ),
        }));
        const files = written.map(({ file }) => file);
        const actual = addon.headMass(files, heads, random.integer(1, 3));
        heads.forEach(({ layer, kvHead, q }, i) => {
          const keys = written.map(({ runs }) =>
            headOf(runs[layer]!.k, runs[layer]!.tokens, shape.kvHeads, kvHead, shape.dk),
          );
          const own = actual.subarray(i * files.length, (i + 1) * files.length);
          const error = relativeError(own, headMass(q, keys, shape.dk));
          assert.ok(error < 1e-5, `seed ${seed}, head ${i}: ${error}`);
        });
      }
    });

    test('views attend as the runs they stand for, look after look at the same session', (t) => {
      let worst = 0;
      for (let seed = 0; seed < 40 * effort; seed++) {
        const random = createRandom(1000 + seed);
        const shape = randomShape(random);
        const queryHeads = shape.kvHeads * random.integer(1, 4);
        const written = writeSegments(random, shape, random.integer(1, 7), 400);
        const window = random.uniform() < 0.5 ? random.integer(1, 300) : 0;
        const base: Call = {
          ...{ tokens: 1, softCap: 0, sinks: null, position: 400, estimate: true },
          ...{ exact: [], wave: [], background: [] },
          scale: 1 / Math.sqrt(shape.dk),
          window: 0,
          budget: random.integer(0, 300),
          tail: makeRun(random.normal, shape, random.integer(1, 20), { f16: shape.f16 }),
        };
        const q = new Float32Array(queryHeads * shape.dk).map(random.normal);
        // The second is what a probe sees: only the beginning.
        const looks = [0, 1, 2, 3].map((look) =>
          look === 1
            ? [{ segment: 0, detail: DETAIL.exact, bias: 0, position: 0 }]
            : randomLook(random, written.length),
        );
        for (let layer = 0; layer < LAYERS; layer++) {
          const files = written.map(({ file }) => file);
          // Layers with a window have no index: their tokens lie in their order.
          const seenThrough = layer === WITHOUT_INDEX ? window : 0;
          const options = { ...base, window: seenThrough, queryHeads, sample: false, capacity: ROOM };
          const seen = addon.attendViews(files, options, q, base.tail, looks, layer);
          looks.forEach((look, i) => {
            const call = callOf({ ...base, window: seenThrough }, written, look, layer);
            const expected = attendTripartite({ ...shape, queryHeads }, q, call, nativeBuild(shape.f16));
            const name = `seed ${seed}, layer ${layer}, look ${i}`;
            const tolerance = shape.f16 ? 1e-4 : 1e-5;
            const error = relativeError(seen[i]!.out, expected.out);
            worst = Math.max(worst, error);
            assert.ok(error < tolerance, `${name}: out ${error}`);
            assert.ok(relativeError(seen[i]!.mass, expected.mass) < tolerance, `${name}: mass`);
          });
        }
      }
      t.diagnostic(`worst relative error ${worst}`);
    });

    test('a background that is shown again is the one that was shown before, bit for bit', () => {
      const random = createRandom(7);
      const shape: Stored = { kvHeads: 2, dk: 64, dv: 48, f16: true };
      const written = writeSegments(random, shape, 5, 600);
      const all = (detail: (segment: number) => number): NativeView[] =>
        written.map((_, segment) => ({ segment, detail: detail(segment), bias: -4, position: 0 }));
      const whole = all((segment) => (segment === 2 ? DETAIL.wave : DETAIL.coarse));
      const looks = [
        ...[whole, [], whole, all(() => DETAIL.coarse), whole.slice(1, 4), whole],
        all((segment) => (segment === 4 ? DETAIL.exact : DETAIL.coarse)),
        ...[[...whole].reverse(), whole],
      ];
      const base = { tokens: 1, softCap: 0, window: 0, position: 700, estimate: true, sample: false };
      const q = new Float32Array(4 * shape.dk).map(random.normal);
      const seen = addon.attendViews(
        written.map(({ file }) => file),
        { ...base, queryHeads: 4, scale: 0.2, budget: 100, capacity: ROOM },
        q,
        makeRun(random.normal, shape, 9, { f16: true }),
        looks,
        0,
      );
      for (const look of [2, 5, 8]) assert.deepEqual(seen[look], seen[0]);
      for (const look of [1, 3, 4, 6]) assert.ok(relativeError(seen[look]!.out, seen[0]!.out) > 1e-3);
      assert.ok(relativeError(seen[7]!.out, seen[0]!.out) < 1e-5);
    });
  });
});
