/**
 * Sessions that attend on a device: llama.cpp's layers on the processor, attention of single tokens by the CUDA kernels.
 * Here the library is compiled for the emulator (native/kernels/cuda/emulator), so that nothing runs on a GPU.
 */
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import type { NativeSession, View } from '../../backend/engine/native.ts';
import { TINY_MODELS } from '../fixtures/tiny-models.ts';
import {
  addon,
  answer,
  assertSame,
  BUDGET,
  emulated,
  folder,
  library,
  load,
  open,
  randomTokens,
  ROOM,
  SEGMENT_TOKENS,
  storeSegments,
  type Answer,
} from './device-answers.ts';

/** With heads of 64 clusters come into the device's memory by 1 MiB. */
const CHUNK = 1 << 20;

for (const { name, model: tiny } of TINY_MODELS) {
  test(`emulated: ${name}: answers on the device are those of the processor`, async () => {
    const model = await load(tiny);
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
    if (emulated && !name.startsWith('gemma3')) assert.ok(prefetched > 0 && foreseen > 0, 'read ahead');
    assert.ok(foreseen <= prefetched && foreseen <= hits);
    // Once more: nothing of the first answer is taken for what is now.
    assertSame(await answer(device, [...views].reverse()), await answer(processor, [...views].reverse()));

    processor.close();
    device.close();
    model.close();
  });
}

test('emulated: with less memory on the device clusters go for others, are read over the bus, or the processor attends', async () => {
  const model = await load({ architecture: 'qwen3', queryHeads: 4, kvHeads: 2, headSize: 64 });
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

test(
  'emulated: where memory cannot be pinned clusters are copied for the device to read',
  { skip: !emulated },
  async () => {
    // No other test has heads of 80, and so the same cache.
    const model = await load({ architecture: 'qwen2', queryHeads: 2, kvHeads: 1, headSize: 80 });
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
  },
);

test('emulated: of views that change only what is new is copied', async () => {
  const model = await load({ architecture: 'qwen2', queryHeads: 2, kvHeads: 1, headSize: 64 });
  const processor = open(model);
  const stored = await storeSegments(processor, ['wave', 'wave', 'wave', 'wave', 'wave']);
  const device = open(model, ROOM);
  const copiedBy = async (views: View[]) => {
    const before = device.device();
    const actual = await answer(device, views);
    assertSame(actual, await answer(processor, views));
    const { copied, hits, misses } = actual.device;
    return {
      copied: copied - before.copied,
      hits: hits - before.hits,
      misses: misses - before.misses,
    };
  };
  const [a, b, c, d, e] = stored as [View, View, View, View, View];
  const first = await copiedBy([a, b, c, d]);
  // One of four: its index, and where the tiles of all lie now.
  const exchanged = await copiedBy([a, b, c, e]);
  assert.ok(exchanged.copied > first.copied / 4 && exchanged.copied < first.copied * 0.3);
  if (emulated) assert.ok(exchanged.misses < first.misses * 0.75, 'clusters of the others are there still');
  const again = await copiedBy([e, c, b, a]);
  assert.ok(again.copied < first.copied * 0.05, 'the tiles alone');
  if (emulated) assert.equal(again.misses, 0);
  const gone = await copiedBy([d, d, a, b]);
  assert.ok(gone.copied > first.copied / 4 && gone.copied < first.copied * 0.3);
  device.close();
  processor.close();
  model.close();
});

test('emulated: clusters that went and cannot be had any more are estimated', async () => {
  const model = await load({ architecture: 'qwen3', queryHeads: 4, kvHeads: 2, headSize: 64 });
  const processor = open(model);
  const views = await storeSegments(processor);
  const { capacity } = addon.memory();
  const device = open(model, (900 << 10) | CHUNK);
  await answer(device, views, { ...BUDGET, tokens: 400 });
  const before = device.device();
  assert.ok(before.evicted > 0);
  const { device: taken } = addon.memory();
  assert.equal(taken, before.bytes);
  // No room in RAM for any cluster: what is not on the device is nowhere but on the disk.
  addon.setCapacity(1);
  try {
    device.startEvidence();
    for (const token of [3, 4, 5, 6])
      await device.forward(Int32Array.of(token), SEGMENT_TOKENS + device.tailTokens, true);
  } finally {
    addon.setCapacity(capacity);
  }
  const after = device.device();
  assert.equal(after.problem, '');
  assert.ok(after.calls > before.calls && after.hits > before.hits);
  assert.ok(device.attentionReport().lateClusters > 0);
  assert.ok(device.logits().every(Number.isFinite));
  device.close();
  assert.equal(addon.memory().device, 0);
  processor.close();
  model.close();
});

test('without a library, and for numbers that it has no kernels for, the processor attends', async () => {
  const model = await load({ architecture: 'qwen2', queryHeads: 2, kvHeads: 1, headSize: 64 });
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
