import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
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
          assert.deepEqual(
            [...slots],
            order.flatMap((token) => [...k!(token), ...v!(token)]),
          );
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

test('a torn file, a foreign one and one of another version are refused when they are opened', () => {
  const { file } = write('good', SHAPES[0]!, 100, { layers: 1, without: [] });
  const bytes = fs.readFileSync(file);
  const refused = (change: (copy: Buffer) => Buffer, message: RegExp) => {
    fs.writeFileSync(path.join(folder, 'bad'), change(Buffer.from(bytes)));
    assert.throws(() => addon.openSegment(path.join(folder, 'bad')), message);
  };
  const put = (at: number, value: number) => (copy: Buffer) => (copy.writeUInt32LE(value, at), copy);
  refused(put(0, 7), /not a segment file/);
  refused(put(8, 2), /written by another version/);
  refused(put(24, 7), /damaged header/);
  refused(put(4096, 7), /damaged metadata/);
  refused((copy) => copy.subarray(0, copy.length - 1), /incomplete/);
  refused((copy) => Buffer.concat([copy, Buffer.alloc(1)]), /incomplete/);
  refused((copy) => copy.subarray(0, 5000), /incomplete/);
  refused(() => Buffer.alloc(10), /not a segment file/);
});

test('a flipped bit anywhere in a file is found', () => {
  const { integer } = createRandom(8);
  const { file } = write('flip', SHAPES[0]!, 700);
  const bytes = fs.readFileSync(file);
  const bad = path.join(folder, 'flipped');
  addon.verifySegment(file);
  for (let i = 0; i < 100; i++) {
    const copy = Buffer.from(bytes);
    const at = integer(0, copy.length - 1);
    copy[at]! ^= 1 << integer(0, 7);
    fs.writeFileSync(bad, copy);
    assert.throws(() => addon.verifySegment(bad), `byte ${at} of ${copy.length}`);
  }
});

test('thousands of segments are open at once where the system allows a few hundred files', () => {
  const { normal } = createRandom(9);
  const shape = SHAPES[0]!;
  const { file } = write('many', shape, 20, { layers: 1, without: [] });
  const files = Array.from({ length: 2500 }, (_, i) => path.join(folder, `many-${i}`));
  for (const name of files) fs.linkSync(file, name);
  const limit = (soft: string) =>
    execFileSync('prlimit', ['--pid', String(process.pid), `--nofile=${soft}:`], { encoding: 'utf8' });
  const before = /NOFILE.*?(\d+)/.exec(
    execFileSync(
      'prlimit',
      ['--pid', String(process.pid), '--nofile', '--noheadings', '--output', 'RESOURCE,SOFT'],
      { encoding: 'utf8' },
    ),
  )![1]!;
  limit('300');
  try {
    const q = new Float32Array(shape.dk).map(normal);
    const mass = addon.headMass(files, [{ layer: 0, kvHead: 0, q }], 2);
    for (const share of mass) assert.ok(Math.abs(share - 1 / files.length) < 1e-9);
  } finally {
    limit(before);
  }
});
