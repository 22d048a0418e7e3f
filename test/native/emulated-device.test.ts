/**
 * Sessions that attend on a device: llama.cpp's layers on the processor, attention of single tokens by the CUDA kernels.
 * Here the library is compiled for the emulator (native/kernels/cuda/emulator), so that nothing runs on a GPU.
 */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import type { Budget, NativeModel, NativeSession, View } from '../../backend/engine/native.ts';
import { loadAddon } from '../../backend/engine/native.ts';
import { buildEmulatedLibrary } from '../cuda/driver.ts';
import { TINY_MODELS, tinyModel, VOCABULARY } from '../fixtures/tiny-models.ts';
import { createRandom } from '../reference/random.ts';

process.env.REPOWAVE_NATIVE = path.resolve(import.meta.dirname, '../../dist/native/repowave.node');
const addon = loadAddon();
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'repowave-device-'));
after(() => fs.rmSync(folder, { recursive: true }));

const SEGMENT_TOKENS = 640;
const PROMPT_TOKENS = 30;
const ANSWER_TOKENS = 12;
const ROOM = 64 << 20;
/** No KV head of the models' layers gets all that it looks at with this budget. */
const BUDGET: Budget = { share: 0, tokens: 100, passTokens: 16384, estimate: true };

let library = '';
before(() => {
  library = buildEmulatedLibrary();
});

const randomTokens = (seed: number, length: number): Int32Array => {
  const { integer } = createRandom(seed);
  return Int32Array.from({ length }, () => integer(0, VOCABULARY - 1));
};

const open = (model: NativeModel, bytes?: number): NativeSession =>
  addon.createSession(model, {
    threads: 2,
    batch: 64,
    ...(bytes === undefined ? {} : { cuda: { library, bytes } }),
  });

/** Stores three segments: to be seen whole, through the wave index, and in outline. */
async function storeSegments(session: NativeSession): Promise<View[]> {
  const views: View[] = [];
  for (const [i, detail] of (['exact', 'wave', 'wave', 'coarse'] as const).entries()) {
    session.reset([]);
    await session.forward(randomTokens(20 + i, detail === 'exact' ? 50 : SEGMENT_TOKENS), 0, false);
    const file = path.join(folder, `${i}.seg`);
    await session.save(file, '{}');
    const bias = detail === 'coarse' ? -1 : i === 2 ? -0.5 : 0;
    views.push({ segment: addon.openSegment(file), detail, bias, position: 0 });
  }
  return views;
}

interface Answer {
  tokens: number[];
  logits: Float32Array[];
  evidence: Float32Array[];
  report: ReturnType<NativeSession['attentionReport']>;
  device: ReturnType<NativeSession['device']>;
}

async function answer(session: NativeSession, views: View[], budget: Budget = BUDGET): Promise<Answer> {
  session.reset(views);
  session.setBudget(budget);
  const prompt = randomTokens(30, PROMPT_TOKENS);
  let next = await session.forward(prompt, SEGMENT_TOKENS, true);
  session.startEvidence();
  const [tokens, logits] = [[next], [] as Float32Array[]];
  const say = async (token: number) => {
    const position = SEGMENT_TOKENS + session.tailTokens;
    next = await session.forward(Int32Array.of(token), position, true);
    logits.push(session.logits());
    tokens.push(next);
  };
  while (tokens.length < ANSWER_TOKENS) await say(next);
  // Other words in the place of the last ones, and others that a pass of several tokens has computed.
  session.truncate(session.tailTokens - 3);
  await say(7);
  session.truncate(session.tailTokens - 2);
  await session.forward(Int32Array.of(1, 2, 3, 4), SEGMENT_TOKENS + session.tailTokens, false);
  await say(8);
  const evidence = session.takeEvidence();
  return { tokens, logits, evidence, report: session.attentionReport(), device: session.device() };
}

function relativeError(actual: Float32Array, expected: Float32Array): number {
  let [difference, norm] = [0, 0];
  expected.forEach((value, i) => {
    difference += (value - actual[i]!) ** 2;
    norm += value ** 2;
  });
  return Math.sqrt(difference / norm);
}

function assertSame(actual: Answer, expected: Answer): void {
  assert.deepEqual(actual.tokens, expected.tokens);
  actual.logits.forEach((row, i) =>
    assert.ok(relativeError(row, expected.logits[i]!) < 1e-3, `logits of step ${i}`),
  );
  actual.evidence.forEach((mass, i) =>
    mass.forEach((own, token) =>
      assert.ok(
        Math.abs(own - expected.evidence[i]![token]!) < 1e-3,
        `evidence of view ${i}, token ${token}`,
      ),
    ),
  );
  for (const what of ['zones', 'retrievedTokens', 'retrievedClusters'] as const)
    assert.ok(relativeError(actual.report[what], expected.report[what]) < 1e-3, what);
  const { steps, lateClusters, bytesPerStep } = expected.report;
  assert.equal(actual.report.steps, steps);
  assert.equal(actual.report.lateClusters, lateClusters);
  assert.ok(Math.abs(actual.report.bytesPerStep / bytesPerStep - 1) < 1e-3, 'bytes of a step');
}

for (const { name, model: tiny } of TINY_MODELS) {
  test(`emulated: ${name}: answers on the device are those of the processor`, async () => {
    const file = path.join(folder, 'model.gguf');
    fs.writeFileSync(file, tinyModel(tiny));
    const model = await addon.loadModel(file, () => undefined);
    const processor = open(model);
    const views = await storeSegments(processor);
    const expected = await answer(processor, views);
    assert.ok(expected.report.retrievedTokens.some((tokens) => tokens >= BUDGET.tokens));
    assert.equal(expected.device.calls, 0);

    const device = open(model, ROOM);
    assert.equal(device.device().problem, '');
    const actual = await answer(device, views);
    assertSame(actual, expected);
    const { layers, kvHeads, steps, samples } = actual.report;
    // A choice is compared with exact attention on the processor.
    assert.equal(samples, expected.report.samples);
    assert.equal(actual.device.refused, samples / kvHeads);
    assert.equal(actual.device.calls, steps * layers - samples / kvHeads);
    const { hits, misses, evicted, prefetched, foreseen } = actual.device;
    assert.ok(misses > 0 && hits > 0);
    assert.equal(evicted, 0);
    // The buffer in RAM is taken for too small to read ahead where only few layers have an index.
    if (!name.startsWith('gemma3')) assert.ok(prefetched > 0 && foreseen > 0, 'read ahead');
    assert.ok(foreseen <= prefetched && foreseen <= hits);
    // Once more: nothing of the first answer is taken for what is now.
    assertSame(await answer(device, [...views].reverse()), await answer(processor, [...views].reverse()));

    processor.close();
    device.close();
    model.close();
  });
}

/** With heads of 64 clusters come into the device's memory by 1 MiB. */
const CHUNK = 1 << 20;

test('emulated: with less memory on the device clusters go for others, are read over the bus, or the processor attends', async () => {
  const file = path.join(folder, 'model.gguf');
  fs.writeFileSync(file, tinyModel({ architecture: 'qwen3', queryHeads: 4, kvHeads: 2, headSize: 64 }));
  const model = await addon.loadModel(file, () => undefined);
  const processor = open(model);
  const views = await storeSegments(processor);
  const budget = { ...BUDGET, tokens: 400 };
  const expected = await answer(processor, views, budget);
  // Copies beside the kernels are done as late as they may be.
  process.env.REPOWAVE_EMULATED_STREAMS = 'late';
  const within = async (bytes: number): Promise<Answer['device']> => {
    const session = open(model, bytes);
    const actual = await answer(session, views, budget);
    assertSame(actual, expected);
    session.close();
    assert.equal(actual.device.problem, '');
    assert.ok(actual.device.bytes <= bytes);
    return actual.device;
  };
  const all = await within(ROOM);
  assert.equal(all.evicted, 0);
  assert.equal(all.staged, 0);
  assert.ok(all.bytes > 2 * CHUNK, 'more than one chunk');

  const fewer = await within(all.bytes - CHUNK);
  assert.ok(fewer.evicted > 0 && fewer.misses > all.misses);
  assert.equal(fewer.calls, all.calls);
  const bus = await within(900 << 10);
  assert.equal(bus.calls, all.calls);
  assert.equal(bus.hits, 0, 'there is no page for a cluster');
  const few = await within(500 << 10);
  assert.ok(few.calls > 0 && few.refused > all.refused);
  const none = await within(1 << 10);
  assert.equal(none.calls, 0);
  assert.equal(none.bytes, 0);

  delete process.env.REPOWAVE_EMULATED_STREAMS;
  processor.close();
  model.close();
});

test('emulated: where memory cannot be pinned clusters are copied for the device to read', async () => {
  const file = path.join(folder, 'model.gguf');
  // No other test has heads of 80, and so the same cache.
  fs.writeFileSync(file, tinyModel({ architecture: 'qwen2', queryHeads: 2, kvHeads: 1, headSize: 80 }));
  const model = await addon.loadModel(file, () => undefined);
  const processor = open(model);
  const views = await storeSegments(processor);
  const expected = await answer(processor, views);
  Object.assign(process.env, { REPOWAVE_EMULATED_PINNABLE: '4096', REPOWAVE_EMULATED_STREAMS: 'late' });
  const device = open(model, ROOM);
  const actual = await answer(device, views);
  delete process.env.REPOWAVE_EMULATED_PINNABLE;
  delete process.env.REPOWAVE_EMULATED_STREAMS;
  assertSame(actual, expected);
  const { hits, misses, staged } = actual.device;
  assert.ok(hits > 0 && misses > 0);
  assert.equal(staged, misses);
  processor.close();
  device.close();
  model.close();
});

test('without a library, and for numbers that it has no kernels for, the processor attends', async () => {
  const file = path.join(folder, 'model.gguf');
  fs.writeFileSync(file, tinyModel({ architecture: 'qwen2', queryHeads: 2, kvHeads: 1, headSize: 64 }));
  const model = await addon.loadModel(file, () => undefined);
  const next = async (session: NativeSession) => {
    session.reset([]);
    await session.forward(randomTokens(40, 20), 0, false);
    return session.forward(randomTokens(41, 1), 20, true);
  };
  const expected = await next(open(model));
  const missing = addon.createSession(model, {
    ...{ threads: 2, batch: 64 },
    cuda: { library: path.join(folder, 'missing.so'), bytes: 0 },
  });
  assert.match(missing.device().problem, /missing\.so/);
  assert.equal(await next(missing), expected);
  const wide = addon.createSession(model, {
    ...{ threads: 2, batch: 64, kvType: 'f32' },
    cuda: { library, bytes: 0 },
  });
  assert.match(wide.device().problem, /no CUDA kernels/);
  await next(wide);
  assert.equal(wide.device().calls, 0);
});
