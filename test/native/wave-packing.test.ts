/** Segments that are stored in eight bits per element: what is read back, and what attention loses by it. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, describe, test } from 'node:test';
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
  type Stored,
} from './wave-addon.ts';

type Random = ReturnType<typeof createRandom>;

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'repowave-packing-'));
after(() => fs.rmSync(folder, { recursive: true }));

const EVERYTHING = 1_000_000_000;
/** Without an index: the second layer, whose packs are of sixteen tokens. */
const WITHOUT_INDEX = 1;
const PACK = 16;

interface Written {
  plain: string;
  packed: string;
  /** Per layer, as they were before. */
  runs: PlacedRun[];
}

/** Some elements of keys are large in every token, as in real models. */
function withOutliers(run: PlacedRun, kvHeads: number): PlacedRun {
  const d = run.k.length / run.tokens / kvHeads;
  return { ...run, k: Float32Array.from(run.k, (x, i) => (i % d === 3 ? 20 + x : x)) };
}

function write(random: Random, shape: Stored, name: string, tokens: number): Written {
  const runs = [0, 1].map(() =>
    withOutliers(makeRun(random.normal, shape, tokens, { f16: false }), shape.kvHeads),
  );
  const [plain, packed] = ['plain', 'packed'].map((kind) => path.join(folder, `${name}.${kind}`));
  addon.writeSegment(plain!, shape, runs, '{}', 1, [WITHOUT_INDEX]);
  addon.writeSegment(packed!, shape, runs, '{}', 2, [WITHOUT_INDEX], true);
  return { plain: plain!, packed: packed!, runs };
}

/** A layer's K and V in the order of the tokens, as they are read back. */
function readBack(file: string, shape: Stored, layer: number): PlacedRun {
  const { tokens, heads } = addon.readSegment(file);
  const row = shape.dk + shape.dv;
  const run = {
    ...{ tokens, bias: 0, position: 0 },
    k: new Float32Array(tokens * shape.kvHeads * shape.dk),
    v: new Float32Array(tokens * shape.kvHeads * shape.dv),
  };
  for (let head = 0; head < shape.kvHeads; head++) {
    const { slots, hasIndex, order } = heads[layer * shape.kvHeads + head]!;
    for (let slot = 0; slot < tokens; slot++) {
      const place = (hasIndex ? order[slot]! : slot) * shape.kvHeads + head;
      run.k.set(slots.subarray(slot * row, slot * row + shape.dk), place * shape.dk);
      run.v.set(slots.subarray(slot * row + shape.dk, (slot + 1) * row), place * shape.dv);
    }
  }
  return run;
}

/** [rows][d] of a list of tokens. */
const rowsOf = (x: Float64Array | Float32Array, d: number, tokens: number[]): number[][] =>
  tokens.map((token) => [...x.subarray(token * d, (token + 1) * d)]);

perInstructionSet(import.meta.filename, (isa) => {
  describe(isa, () => {
    test('every element is read back within half a step of its pack, and the index is the same', () => {
      for (const f16 of [true, false])
        for (const tokens of [1, 17, 300]) {
          const shape: Stored = { kvHeads: 2, dk: 64, dv: 48, f16 };
          const written = write(createRandom(tokens), shape, `back-${tokens}-${String(f16)}`, tokens);
          const [plain, packed] = [addon.readSegment(written.plain), addon.readSegment(written.packed)];
          packed.heads.forEach((head, i) => {
            const { slots } = plain.heads[i]!;
            if (head.hasIndex) assert.deepEqual({ ...head, slots }, plain.heads[i]);
          });
          for (const layer of [0, WITHOUT_INDEX]) {
            const before = readBack(written.plain, shape, layer);
            const after = readBack(written.packed, shape, layer);
            for (let head = 0; head < shape.kvHeads; head++) {
              const { hasIndex, order, starts } = packed.heads[layer * shape.kvHeads + head]!;
              const slots = hasIndex ? [...order] : [...Array(tokens).keys()];
              const packs = hasIndex
                ? [...starts.slice(1)].map((end, c) => slots.slice(starts[c], end))
                : Array.from({ length: Math.ceil(tokens / PACK) }, (_, c) => slots.slice(c * PACK, (c + 1) * PACK)); // prettier-ignore
              for (const part of ['k', 'v'] as const) {
                const d = part === 'k' ? shape.dk : shape.dv;
                const [x, y] = [before, after].map((run) =>
                  headOf(run[part], tokens, shape.kvHeads, head, d),
                );
                for (const pack of packs) checkPack(rowsOf(x!, d, pack), rowsOf(y!, d, pack));
              }
            }
          }
        }
    });

    test('attention over what was packed equals the float64 reference, and is near what was not packed', (t) => {
      let [worst, most] = [0, 0];
      const losses: number[] = [];
      for (let seed = 0; seed < 40 * effort; seed++) {
        const random = createRandom(seed);
        const { integer, normal } = random;
        const f16 = seed % 2 === 0;
        const shape: Stored = { kvHeads: integer(1, 2), dk: 16 * integer(1, 6), dv: 16 * integer(1, 6), f16 };
        const written = [0, 1].map((i) => write(random, shape, `seen-${i}`, integer(1, 400)));
        const queryHeads = shape.kvHeads * integer(1, 4);
        const tail = makeRun(normal, shape, integer(1, 20), { f16 });
        const q = new Float32Array(queryHeads * shape.dk).map(normal);
        for (const layer of [0, WITHOUT_INDEX]) {
          const runs = written.map(({ packed }) => readBack(packed, shape, layer));
          const call: Call = {
            ...{ tokens: 1, softCap: 0, sinks: null, position: 400, estimate: true, window: 0 },
            ...{ scale: 1 / Math.sqrt(shape.dk), budget: EVERYTHING, background: [], tail },
            exact: layer === WITHOUT_INDEX ? runs : [runs[0]!],
            wave: layer === WITHOUT_INDEX ? [] : [runs[1]!],
          };
          const looks = [DETAIL.exact, DETAIL.wave].map((detail, segment) => ({ segment, detail, bias: 0, position: 0 })); // prettier-ignore
          const options = { ...call, queryHeads, sample: false, capacity: 1 << 28 };
          const [packed, plain] = (['packed', 'plain'] as const).map((kind) => {
            const files = written.map((one) => one[kind]);
            return addon.attendViews(files, options, q, tail, [looks], layer)[0]!;
          });
          const expected = attendTripartite({ ...shape, queryHeads }, q, call, nativeBuild(f16));
          const error = relativeError(packed!.out, expected.out);
          worst = Math.max(worst, error);
          assert.ok(error < (f16 ? 1e-4 : 3e-5), `seed ${seed}, layer ${layer}: ${error}`);
          losses.push(relativeError(packed!.out, plain!.out));
          most = Math.max(most, losses.at(-1)!);
        }
      }
      const mean = losses.reduce((a, b) => a + b, 0) / losses.length;
      t.diagnostic(`worst relative error ${worst}; loss against f16 and f32: mean ${mean}, worst ${most}`);
      assert.ok(mean > 0 && most < 0.05);
    });

    test('packed segments take less than three fifths of the bytes', () => {
      const shape: Stored = { kvHeads: 2, dk: 64, dv: 64, f16: true };
      const { plain, packed } = write(createRandom(3), shape, 'size', 2000);
      const bytes = (file: string) => fs.statSync(file).size - addon.readSegment(file).indexBytes;
      assert.ok(bytes(packed) < 0.6 * bytes(plain), `${bytes(packed)} of ${bytes(plain)}`);
    });

    test('a flipped bit anywhere in a packed segment is found', () => {
      const { integer } = createRandom(8);
      const { packed } = write(createRandom(4), { kvHeads: 2, dk: 64, dv: 48, f16: true }, 'flip', 300);
      const bytes = fs.readFileSync(packed);
      addon.verifySegment(packed);
      for (let i = 0; i < 100; i++) {
        const copy = Buffer.from(bytes);
        const at = integer(0, copy.length - 1);
        copy[at]! ^= 1 << integer(0, 7);
        fs.writeFileSync(path.join(folder, 'flipped'), copy);
        assert.throws(() => addon.verifySegment(path.join(folder, 'flipped')), `byte ${at}`);
      }
    });
  });
});

/** Half a step, and what the type of the stored numbers rounds away of mean and sum. */
function checkPack(before: number[][], after: number[][]): void {
  const d = before[0]!.length;
  const means = Array.from(
    { length: d },
    (_, i) => before.reduce((sum, row) => sum + row[i]!, 0) / before.length,
  );
  const largest = Math.max(...before.flatMap((row) => row.map((x, i) => Math.abs(x - means[i]!))));
  before.forEach((row, t) =>
    row.forEach((x, i) => {
      const rounding = Math.abs(x) / 1024 + 1e-6;
      const error = Math.abs(after[t]![i]! - x);
      assert.ok(error <= (largest + rounding) / 254 + rounding, `${after[t]![i]} for ${x}: ${error}`);
    }),
  );
}
