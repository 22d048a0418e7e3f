/** Stored segments inside a cap on memory: what a session sees must not depend on it, and what cannot be read is told. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import type {
  AttentionReport,
  NativeAddon,
  NativeSegment,
  NativeSession,
  View,
} from '../../backend/engine/native.ts';
import { loadAddon } from '../../backend/engine/native.ts';
import { createRandom } from '../reference/random.ts';
import { modelPath } from './models.ts';

process.env.REPOWAVE_NATIVE = path.resolve(import.meta.dirname, '../../dist/native/repowave.node');
const addon: NativeAddon = loadAddon();
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'repowave-buffer-'));
after(() => fs.rmSync(folder, { recursive: true }));

const PLENTY = 2 ** 32;
const MIB = 2 ** 20;
const SEGMENTS = 3;
const TOKENS = 600;

let session: NativeSession;
const files = Array.from({ length: SEGMENTS }, (_, i) => path.join(folder, `${i}.seg`));

before(async () => {
  const model = await addon.loadModel(modelPath('smollm2-135m'), () => undefined);
  session = addon.createSession(model, { threads: 2 });
  session.setBudget({ share: 0, tokens: 512, passTokens: 512, estimate: true });
  for (const [i, file] of files.entries()) {
    const { integer } = createRandom(i);
    const lines = Array.from({ length: TOKENS }, (_, line) => `const value${line} = ${integer(0, 99999)};\n`);
    const { tokens } = await model.tokenize(lines.join(''), false);
    session.reset([]);
    await session.forward(tokens.subarray(0, TOKENS), 0, false);
    await session.save(file, '{}');
  }
});

const views = (segments: NativeSegment[], detail: View['detail'] = 'wave'): View[] =>
  segments.map((segment) => ({ segment, detail, bias: 0, position: 0 }));

interface Answer {
  tokens: number[];
  report: AttentionReport;
}

/** A question of a few tokens, and greedy ones after it. */
async function answer(looks: View[], count = 16): Promise<Answer> {
  session.reset(looks);
  let next = await session.forward(Int32Array.of(504, 441, 260, 1187, 30, 2683), TOKENS, true);
  session.startEvidence();
  const tokens = [next];
  while (tokens.length < count) {
    next = await session.forward(Int32Array.of(next), TOKENS + 5 + tokens.length, true);
    tokens.push(next);
  }
  return { tokens, report: session.attentionReport() };
}

/** What is kept in all. */
function kept(): number {
  const { exact, index, background, cacheCapacity } = addon.memory();
  return exact + index + background + cacheCapacity;
}

test('answers are the same, token for token, inside any cap, far below the K/V too, as with all in memory', async (t) => {
  addon.setCapacity(PLENTY);
  const segments = files.map((file) => addon.openSegment(file));
  const stored = segments.reduce((sum, { bytes }) => sum + bytes, 0);
  const free = await answer(views(segments));
  const before = addon.memory();
  const again = await answer(views(segments));
  assert.equal(addon.memory().misses, before.misses);
  assert.deepEqual(again.tokens, free.tokens);

  const caps = [18.5, 20, 24, 32].map((size) => size * MIB);
  assert.ok(caps[0]! < stored / 2);
  const wanted =
    free.report.retrievedClusters.reduce((sum, clusters) => sum + clusters, 0) * free.report.steps;
  for (const cap of caps) {
    const { misses } = addon.memory();
    addon.setCapacity(cap);
    assert.ok(kept() <= cap);
    const capped = await answer(views(segments));
    assert.deepEqual(capped.tokens, free.tokens);
    assert.deepEqual(capped.report.retrievedTokens, free.report.retrievedTokens);
    assert.equal(capped.report.lateClusters, 0);
    assert.ok(kept() <= cap, `${kept()}`);
    const missed = addon.memory().misses - misses;
    if (cap === caps[0]) assert.ok(missed > 0, 'nothing had to go');
    assert.ok(missed < wanted / 2, 'what is wanted was lost to what is not');
    t.diagnostic(`${stored} bytes of K/V, ${kept()} kept: ${missed} misses, with plenty ${before.misses}`);
  }
});

test('while a token is computed, what the next one may want is read', async () => {
  addon.setCapacity(PLENTY);
  const [segment] = files.map((file) => addon.openSegment(file));
  await answer(views([segment!]), 1);
  const { prefetched } = addon.memory();
  await session.forward(Int32Array.of(504), TOKENS + 6, true);
  // For ever when nothing is.
  while (addon.memory().prefetched === prefetched) await setImmediate();
});

test('with too little memory for the views a pass is refused, and works once there is enough', async () => {
  const segments = files.map((file) => addon.openSegment(file));
  for (const detail of ['exact', 'wave'] as const) {
    addon.setCapacity(PLENTY);
    const free = await answer(views(segments, detail), 3);
    session.reset([]);
    // The second has room for the indexes, and too little beside them for a pass over their clusters.
    for (const cap of [MIB / 8, 12 * MIB]) {
      addon.setCapacity(cap);
      await assert.rejects(answer(views(segments, detail), 3), { code: 'NoRoom' });
    }
    addon.setCapacity(PLENTY);
    assert.deepEqual((await answer(views(segments, detail), 3)).tokens, free.tokens);
  }
});

test('what nobody looks at makes room, and what belongs to closed segments goes', async () => {
  addon.setCapacity(30 * MIB);
  const segments = files.map((file) => addon.openSegment(file));
  const [first, second] = segments as [NativeSegment, NativeSegment];
  assert.ok(2 * first.bytes > 27 * MIB - MIB);
  await answer(views([first], 'exact'), 2);
  assert.equal(addon.memory().exact >= first.bytes, true);
  await answer(views([second], 'exact'), 2);
  await answer(views([first, second]), 2);
  assert.ok(kept() <= 30 * MIB);
  session.reset([]);
  for (const segment of segments) segment.close();
  await answer([], 2);
  const { exact, index, cacheCapacity } = addon.memory();
  assert.deepEqual({ exact, index, cacheCapacity }, { exact: 0, index: 0, cacheCapacity: 0 });
});

test('a segment in the background costs its summaries only, once', async () => {
  addon.setCapacity(PLENTY);
  const segments = files.map((file) => addon.openSegment(file));
  const { bytesRead } = addon.memory();
  await answer(views(segments.slice(1), 'coarse'), 2);
  const first = addon.memory().bytesRead - bytesRead;
  assert.ok(first > 0 && first < segments[0]!.bytes / 20, `${first}`);
  await answer(views(segments, 'coarse'), 2);
  assert.equal(addon.memory().bytesRead - bytesRead, first + first / 2);
});

test('damaged clusters are estimated and told, and a damaged segment that must be seen whole is refused', async () => {
  addon.setCapacity(PLENTY);
  const file = path.join(folder, 'damaged.seg');
  fs.copyFileSync(files[0]!, file);
  const segment = addon.openSegment(file);
  const fd = fs.openSync(file, 'r+');
  const size = fs.statSync(file).size;
  // All slots lie at the end of the file.
  for (let at = size - segment.bytes; at < size; at += 64 * 256) fs.writeSync(fd, 'X', at);
  fs.closeSync(fd);
  const { damaged } = addon.memory();
  const { report } = await answer(views([segment, addon.openSegment(files[1]!)]), 4);
  assert.ok(report.lateClusters > 0);
  assert.ok(addon.memory().damaged >= damaged + report.lateClusters);
  await assert.rejects(answer(views([segment], 'exact')), { code: 'SegmentCorrupt' });
  await assert.rejects(addon.verifySegment(file), { code: 'SegmentCorrupt' });
  await addon.verifySegment(files[1]!);
  session.reset([]);
  session.watch([[3, 0]]);
  await session.probe(Int32Array.of(504, 441), 0);
  await assert.rejects(session.headMass([segment]), { code: 'SegmentCorrupt' });
  session.watch([]);
});
