import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { createRandom } from '../reference/random.ts';
import { headOf } from '../reference/seen.ts';
import { addon, makeRun, type Stored } from './wave-addon.ts';

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'repowave-segment-'));
after(() => fs.rmSync(folder, { recursive: true }));

const META = '{"path":"src/größe.ts"}';

function write(name: string, shape: Stored, tokens: number, { layers = 3, threads = 2, without = [1] } = {}) {
  const { normal } = createRandom(tokens);
  const runs = Array.from({ length: layers }, () => makeRun(normal, shape, tokens, { f16: shape.f16 }));
  const file = path.join(folder, name);
  addon.writeSegment(file, shape, runs, META, threads, without);
  return { file, runs };
}

const SHAPES: Stored[] = [
  { kvHeads: 2, dk: 64, dv: 48, f16: true },
  { kvHeads: 1, dk: 128, dv: 128, f16: false },
];

for (const shape of SHAPES) {
  for (const tokens of [1, 37, 500]) {
    const kind = shape.f16 ? 'f16' : 'f32';
    test(`a file gives back the index that was built, and K and V in its order: ${tokens} tokens, ${kind}`, () => {
      const { file, runs } = write(`${kind}-${tokens}`, shape, tokens);
      const read = addon.readSegment(file);
      assert.equal(read.tokens, tokens);
      assert.equal(read.meta, META);
      runs.forEach((run, layer) => {
        const built = addon.buildIndex(shape, run);
        built.forEach((index, number) => {
          const { slots, hasIndex, ...own } = read.heads[layer * shape.kvHeads + number]!;
          assert.equal(hasIndex, layer !== 1);
          if (hasIndex) assert.deepEqual(own, index);
          const order = hasIndex ? [...index.order] : [...Array(tokens).keys()];
          const [k, v] = [
            [run.k, shape.dk],
            [run.v, shape.dv],
          ].map(([x, d]) => {
            const rows = headOf(x as Float32Array, tokens, shape.kvHeads, number, d as number);
            return (token: number) => [...rows.subarray(token * (d as number), (token + 1) * (d as number))];
          });
          assert.deepEqual([...slots], order.flatMap((token) => [...k!(token), ...v!(token)]));
        });
      });
    });
  }
}

test('the file does not depend on the number of threads, bit for bit', () => {
  const one = write('one', SHAPES[0]!, 300, { threads: 1 });
  const four = write('four', SHAPES[0]!, 300, { threads: 4 });
  assert.ok(fs.readFileSync(one.file).equals(fs.readFileSync(four.file)));
});

test('the index takes less than an eighth of the K/V bytes', () => {
  const shape = SHAPES[0]!;
  const { file } = write('small', shape, 2000, { without: [] });
  const kv = 2000 * 3 * shape.kvHeads * (shape.dk + shape.dv) * 2;
  assert.ok(addon.readSegment(file).indexBytes < kv / 8);
});

test('a damaged index, a torn file and a foreign one are refused', () => {
  const { file } = write('good', SHAPES[0]!, 100, { layers: 1, without: [] });
  const bytes = fs.readFileSync(file);
  const refused = (change: (copy: Buffer) => Buffer, message: RegExp) => {
    fs.writeFileSync(path.join(folder, 'bad'), change(Buffer.from(bytes)));
    assert.throws(() => addon.readSegment(path.join(folder, 'bad')), message);
  };
  const put = (at: number, value: number) => (copy: Buffer) => (copy.writeUInt32LE(value, at), copy);
  // Header and metadata take a page each; then come the counts, and the first head's index 64 bytes further on.
  const counts = 8192;
  const fine = bytes.readUInt32LE(counts);
  refused(put(counts, 1000), /damaged index/);
  refused(put(counts + 4, 1000), /damaged index/);
  const limit = 6; // clusterLimit(100)
  const roundUp = (n: number) => Math.ceil(n / 64) * 64;
  const starts = counts + 64 + limit * 64 * 2 + roundUp(limit * 48 * 2) + roundUp(limit * 4);
  assert.equal(bytes.readUInt32LE(starts + fine * 4), 100);
  refused(put(starts, 1), /damaged index/);
  refused(put(starts + 4, 101), /damaged index/);
  refused(put(starts + fine * 4, 99), /damaged index/);
  refused(put(0, 7), /not a segment file/);
  refused(put(40, 7), /damaged header/);
  refused(put(4096, 7), /damaged metadata/);
  refused((copy) => copy.subarray(0, copy.length - 1), /incomplete/);
  refused(() => Buffer.alloc(10), /not a segment file/);
});
