import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import type { NativeAddon, NativeSession, View } from '../../backend/engine/native.ts';
import { loadAddon } from '../../backend/engine/native.ts';
import { TINY_MODELS, tinyModel, VOCABULARY, type TinyModel } from '../fixtures/tiny-models.ts';
import { createRandom } from '../reference/random.ts';
import { modelPath } from './models.ts';

const root = path.resolve(import.meta.dirname, '../..');
const libraries = path.join(root, 'dist/native');
process.env.REPOWAVE_NATIVE = path.join(libraries, 'repowave.node');
const addon: NativeAddon = loadAddon();
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'repowave-session-'));
after(() => fs.rmSync(folder, { recursive: true }));

/** llama.cpp without us: test/native/plain_llama.cpp. */
function plainLlama(...args: (string | number)[]): string {
  return execFileSync(path.join(root, 'build/native/plain_llama'), args.map(String), {
    env: { ...process.env, LLAMA_LIBRARIES: libraries },
    encoding: 'utf8',
  });
}

function relativeError(actual: Float32Array, expected: Float32Array): number {
  let difference = 0;
  let norm = 0;
  expected.forEach((value, i) => {
    difference += (value - actual[i]!) ** 2;
    norm += value ** 2;
  });
  return Math.sqrt(difference / norm);
}

/** Logits after each of the last 8 tokens, the rest prefilled in batches. */
async function ourLogits(session: NativeSession, tokens: Int32Array): Promise<Float32Array[]> {
  session.reset([]);
  const first = tokens.length - 7;
  const rows: Float32Array[] = [];
  for (let i = 0; i < 8; i++) {
    const part = i === 0 ? tokens.subarray(0, first) : tokens.subarray(first + i - 1, first + i);
    await session.forward(part, i === 0 ? 0 : first + i - 1, true);
    rows.push(session.logits());
  }
  return rows;
}

/** Writes the model beside `name` and returns llama.cpp's logits after each of the last 8 tokens. */
function plainLogits(name: string, model: TinyModel, tokens: Int32Array): Float32Array[] {
  const file = path.join(folder, `${name}.gguf`);
  fs.writeFileSync(file, tinyModel(model));
  plainLlama('logits', file, path.join(folder, 'logits'), ...tokens);
  const all = new Float32Array(new Uint8Array(fs.readFileSync(path.join(folder, 'logits'))).buffer);
  return Array.from({ length: 8 }, (_, row) => all.subarray(row * VOCABULARY, (row + 1) * VOCABULARY));
}

const worstError = (actual: Float32Array[], expected: Float32Array[]): number =>
  Math.max(...expected.map((row, i) => relativeError(actual[i]!, row)));

for (const { name, model: tiny, others, tolerance = 1e-4 } of TINY_MODELS) {
  test(`${name}: logits are llama.cpp's to ${tolerance}, also over stored segments`, async () => {
    const { integer } = createRandom(11);
    const tokens = Int32Array.from({ length: 400 }, () => integer(0, VOCABULARY - 1));
    const expected = plainLogits('tiny', tiny, tokens);
    const model = await addon.loadModel(path.join(folder, 'tiny.gguf'), () => undefined);
    const session = addon.createSession(model, { threads: 2, kvType: 'f32', batch: 96 });
    const error = worstError(await ourLogits(session, tokens), expected);
    console.log(`${name}: relative L2 of logits, worst of 8 rows: ${error.toExponential(2)}`);
    assert.ok(error <= tolerance, `${error}`);

    // The same tokens, 300 of them stored on disk as two segments and mapped again.
    const views: View[] = [];
    for (const [start, end] of [
      [0, 180],
      [180, 300],
    ] as const) {
      session.reset(views);
      await session.forward(tokens.subarray(start, end), start, false);
      const file = path.join(folder, `${start}.seg`);
      await session.save(file, '{}');
      views.push({ segment: addon.openSegment(file), detail: 'exact', bias: 0, position: start });
    }
    session.reset(views);
    await session.forward(tokens.subarray(300), 300, true);
    assert.ok(relativeError(session.logits(), expected[7]!) <= tolerance);
    session.close();
    model.close();

    for (const [other, changes] of Object.entries(others)) {
      const seen = worstError(plainLogits('other', { ...tiny, ...changes }, tokens), expected);
      assert.ok(seen > 10 * tolerance, `${other} would not be noticed: ${seen}`);
    }
  });
}

/** Settings with values that nothing but the text tells, and the beginning of the same list once more. */
function listTwice(): string {
  const { integer } = createRandom(3);
  const lines = Array.from({ length: 70 }, (_, i) => {
    const value = Array.from({ length: 3 }, () => integer(100, 999)).join('-');
    return `export const setting${i + 1} = "${value}";\n`;
  });
  return `// settings.ts\n${lines.join('')}\n// settings-copy.ts\n${lines.slice(0, 3).join('')}`;
}

test('the real model copies from more than a thousand tokens back, token for token as llama.cpp does', async () => {
  const file = modelPath('qwen2.5-coder-0.5b');
  const model = await addon.loadModel(file, () => undefined);
  const { tokens } = await model.tokenize(listTwice(), false);
  const session = addon.createSession(model, { threads: 2 });
  session.reset([]);
  const ours: number[] = [await session.forward(tokens, 0, true)];
  while (ours.length < 64)
    ours.push(await session.forward(Int32Array.of(ours.at(-1)!), tokens.length - 1 + ours.length, true));
  const theirs = plainLlama('greedy', file, 64, ...tokens)
    .trim()
    .split('\n')
    .map((line) => line.split(' ').map(Number) as [number, number]);
  const leads = theirs.map(([, lead]) => lead);
  console.log(`${tokens.length} tokens of text, the closest of 64 leads: ${Math.min(...leads)}`);
  // llama.cpp's own rounding (F16 scores) moves logits by some hundredths: no token may hang on that.
  assert.ok(Math.min(...leads) > 0.5, 'the text leaves a choice: take another');
  assert.deepEqual(
    ours,
    theirs.map(([token]) => token),
  );
  const text = Buffer.concat(ours.map((token) => model.piece(token))).toString();
  assert.ok(listTwice().includes(text), text);
});

test('a cancel stops a forward pass, keeps the tail as it was, and the session goes on', async () => {
  const model = await addon.loadModel(modelPath('smollm2-135m'), () => undefined);
  const session = addon.createSession(model, { threads: 2 });
  session.reset([]);
  await session.forward(Int32Array.of(1, 2, 3), 0, false);
  const running = session.forward(new Int32Array(3000).fill(5), 3, false);
  assert.throws(() => session.truncate(0), /busy/);
  session.cancel();
  await assert.rejects(running, { code: 'Cancelled' });
  assert.equal(session.tailTokens, 3);
  assert.ok((await session.forward(Int32Array.of(4), 3, true)) >= 0);
});

test('a bias of minus infinity hides a stored segment, and evidence tells where the attention went', async () => {
  const model = await addon.loadModel(modelPath('smollm2-135m'), () => undefined);
  const session = addon.createSession(model, { threads: 2 });
  const save = async (name: string, text: string) => {
    session.reset([]);
    await session.forward((await model.tokenize(text, false)).tokens, 0, false);
    await session.save(path.join(folder, name), JSON.stringify({ name }));
    return addon.openSegment(path.join(folder, name));
  };
  const a = await save('a.seg', 'const otter = 48213;\n'.repeat(10));
  const b = await save('b.seg', 'The weather was fine that day.\n'.repeat(10));
  assert.equal(b.meta, '{"name":"b.seg"}');
  const answer = async (views: { segment: typeof a; bias: number }[]) => {
    session.reset(views.map((view) => ({ ...view, detail: 'exact', position: 0 })));
    session.startEvidence();
    await session.forward(Int32Array.of(40), 300, true);
    return { logits: session.logits(), evidence: session.takeEvidence() };
  };
  const alone = await answer([{ segment: a, bias: 0 }]);
  const hidden = await answer([
    { segment: a, bias: 0 },
    { segment: b, bias: -Infinity },
  ]);
  const both = await answer([
    { segment: a, bias: 0 },
    { segment: b, bias: 0 },
  ]);
  assert.ok(relativeError(hidden.logits, alone.logits) < 1e-6);
  assert.ok(relativeError(both.logits, alone.logits) > 1e-3);
  const sum = (mass: Float32Array) => mass.reduce((x, y) => x + y, 0);
  assert.equal(hidden.evidence[0]!.length, a.tokens);
  assert.equal(sum(hidden.evidence[1]!), 0);
  assert.ok(sum(both.evidence[1]!) > 0);
  const total = sum(both.evidence[0]!) + sum(both.evidence[1]!);
  assert.ok(total > 0.1 && total < 1, `${total}`);
});

test('taking the evidence in between leaves the report whole, and its samples go from layer to layer', async () => {
  const model = await addon.loadModel(modelPath('smollm2-135m'), () => undefined);
  const session = addon.createSession(model, { threads: 2 });
  session.reset([]);
  const { tokens } = await model.tokenize('const otter = 48213;\n'.repeat(40), false);
  await session.forward(tokens, 0, false);
  const file = path.join(folder, 'long.seg');
  await session.save(file, '{}');
  session.setBudget({ share: 0, tokens: 64, passTokens: 64, estimate: true });
  session.reset([{ segment: addon.openSegment(file), detail: 'wave', bias: 0, position: 0 }]);
  session.startEvidence();
  for (let step = 0; step < 20; step++) {
    await session.forward(Int32Array.of(40), tokens.length + step, true);
    if (step % 5 === 4) session.takeEvidence();
  }
  const report = session.attentionReport();
  assert.equal(report.steps, 20);
  assert.equal(report.samples, 2 * report.kvHeads);
  const zones = [...report.zones];
  for (let i = 0; i < zones.length; i += 4)
    assert.ok(Math.abs(zones.slice(i, i + 4).reduce((a, b) => a + b) - 1) < 1e-4);
  assert.ok(report.retrievedTokens.every((mean) => mean >= 64 && mean < tokens.length));
});

test('torn and foreign segment files are refused', async () => {
  const model = await addon.loadModel(modelPath('smollm2-135m'), () => undefined);
  const session = addon.createSession(model, { threads: 2 });
  session.reset([]);
  await session.forward(Int32Array.of(1, 2, 3), 0, false);
  const file = path.join(folder, 'whole.seg');
  await session.save(file, '{}');
  const bytes = fs.readFileSync(file);
  const broken = path.join(folder, 'broken.seg');
  const flipped = Buffer.from(bytes);
  flipped[20]! ^= 1;
  for (const content of [
    bytes.subarray(0, -1),
    bytes.subarray(0, 100),
    Buffer.alloc(5000),
    flipped,
    Buffer.alloc(0),
  ]) {
    fs.writeFileSync(broken, content);
    assert.throws(() => addon.openSegment(broken), { code: 'SegmentCorrupt' });
  }
  assert.throws(() => addon.openSegment(path.join(folder, 'absent.seg')));
  await assert.rejects(session.save(path.join(folder, 'no/such/folder.seg'), '{}'));
  assert.deepEqual(
    fs.readdirSync(folder).filter((name) => name.includes('.tmp-')),
    [],
  );
});

test('a disk that fills up while a segment is written is told as such, and nothing is left behind', async (t) => {
  const disk = fs.mkdtempSync(path.join(os.tmpdir(), 'repowave-full-'));
  t.after(() => fs.rmSync(disk, { recursive: true }));
  if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', disk]).status !== 0) {
    return t.skip('only root can mount a small disk');
  }
  try {
    const model = await addon.loadModel(modelPath('smollm2-135m'), () => undefined);
    const session = addon.createSession(model, { threads: 2 });
    session.reset([]);
    await session.forward(new Int32Array(20).fill(5), 0, false);
    await assert.rejects(session.save(path.join(disk, 'x.seg'), '{}'), { code: 'NoSpace' });
    assert.deepEqual(fs.readdirSync(disk), []);
  } finally {
    spawnSync('umount', [disk]);
  }
});

test('a file that is no model is refused with llama.cpp’s reason', async () => {
  const file = path.join(folder, 'not-a-model.gguf');
  fs.writeFileSync(file, 'GGUF but not really');
  await assert.rejects(
    addon.loadModel(file, () => undefined),
    { code: 'ModelCorrupt' },
  );
});
