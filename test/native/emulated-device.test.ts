/**
 * Sessions that attend on a device: llama.cpp's layers on the processor, attention of single tokens by the CUDA kernels.
 * Here the library is compiled for the emulator (native/kernels/cuda/emulator), so that nothing runs on a GPU.
 */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import type { NativeSession, View } from '../../backend/engine/native.ts';
import { Engine } from '../../backend/engine/engine.ts';
import { compileLibrary } from '../cuda/driver.ts';
import { TINY_MODELS, tinyModel } from '../fixtures/tiny-models.ts';
import {
  addon,
  answer,
  assertSame,
  BUDGET,
  fakeGpu,
  folder,
  isReal,
  library,
  load,
  open,
  plugin,
  randomTokens,
  relativeError,
  ROOM,
  SEGMENT_TOKENS,
  skip,
  storeSegments,
  type Answer,
} from './device-answers.ts';

/** With heads of 64 clusters come into the device's memory by 1 MiB. */
const CHUNK = 1 << 20;

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
    // Activations in front of quantised weights are rounded to 8 bits: the least difference may turn one of them.
    const tolerance = tiny.formats ? 5e-3 : 1e-3;
    assertSame(actual, expected, tolerance);
    const { layers, kvHeads, steps, samples } = actual.report;
    // A choice is compared with exact attention on the processor.
    assert.equal(samples, expected.report.samples);
    assert.equal(actual.device.refused, samples / kvHeads);
    assert.equal(actual.device.calls, steps * layers - samples / kvHeads);
    const { hits, misses, evicted, prefetched, foreseen } = actual.device;
    assert.ok(misses > 0 && hits > 0);
    assert.equal(evicted, 0);
    // The buffer in RAM is taken for too small to read ahead where only few layers have an index.
    if (!isReal && !name.startsWith('gemma3')) assert.ok(prefetched > 0 && foreseen > 0, 'read ahead');
    assert.ok(foreseen <= prefetched && foreseen <= hits);
    // Once more: nothing of the first answer is taken for what is now.
    const again = [...views].reverse();
    assertSame(await answer(device, again), await answer(processor, again), tolerance);

    // With the weights there too nothing of a single token goes through the host, but what the processor attends to:
    // queries, new K and V, and the result.
    if (plugin !== undefined) {
      const onGpu = await addon.loadModel(file, () => undefined, { plugin, shared: true });
      const shared = open(onGpu, ROOM);
      const there = await answer(shared, views);
      // Real ones multiply in other ways than the processor, and so does llama.cpp where we multiply quantised weights.
      assertSame(there, isReal || tiny.formats ? await answer(open(onGpu), views) : expected, tolerance);
      assert.equal(there.device.problem, '');
      assert.equal(there.device.calls, actual.device.calls);
      assert.equal(there.device.throughHost, 3 * there.device.refused);
      for (const each of [shared, onGpu]) each.close();
    }
    for (const each of [processor, device, model]) each.close();
  });
}

/** @returns how many graphs the fake GPU computes for one token, and the next one */
async function graphsOfToken(session: NativeSession): Promise<[graphs: number, token: number]> {
  session.reset([]);
  await session.forward(randomTokens(40, 20), 0, false);
  const log = path.join(folder, 'graphs');
  fs.writeFileSync(log, '');
  process.env.FAKE_GPU_LOG = log;
  const token = await session.forward(randomTokens(41, 1), 20, true);
  delete process.env.FAKE_GPU_LOG;
  return [fs.statSync(log).size, token];
}

test(
  'emulated: weights on the GPU: attention interrupts it once a layer, and its K and V can be stored',
  { skip },
  async () => {
    const file = path.join(folder, 'model.gguf');
    fs.writeFileSync(file, tinyModel({ architecture: 'qwen3', queryHeads: 4, kvHeads: 2, headSize: 64 }));
    const model = await addon.loadModel(file, () => undefined);
    const processor = open(model);
    const [none, expected] = await graphsOfToken(processor);
    assert.equal(none, 0);
    /** What the processor makes of what was stored. */
    const look = async (session: NativeSession): Promise<Float32Array> => {
      const file = path.join(folder, 'tail.seg');
      await session.save(file, '{}');
      const segment = addon.openSegment(file);
      processor.reset([{ segment, detail: 'exact', bias: 0, position: 0 }]);
      await processor.forward(randomTokens(42, 1), 21, true);
      return processor.logits();
    };
    const logits = await look(processor);
    for (const [shared, room] of [
      [false, undefined],
      [false, ROOM],
      [true, undefined],
      [true, 1 << 10],
      [true, ROOM],
    ] as const) {
      const onGpu = await addon.loadModel(file, () => undefined, { plugin: fakeGpu, shared });
      assert.equal(onGpu.info.gpu, 'fake GPU');
      const session = open(onGpu, room);
      assert.deepEqual(await graphsOfToken(session), [onGpu.info.layers + 1, expected]);
      assert.ok(relativeError(await look(session), logits) < 1e-3);
      for (const each of [session, onGpu]) each.close();
    }
    for (const each of [processor, model]) each.close();
  },
);

test('emulated: the engine takes all that is there, and goes on without what fails', { skip }, async (t) => {
  const file = path.join(folder, 'model.gguf');
  fs.writeFileSync(file, tinyModel({ architecture: 'qwen3', queryHeads: 4, kvHeads: 2, headSize: 64 }));
  t.after(() => {
    for (const name of ['REPOWAVE_CUDA', 'REPOWAVE_GPU', 'FAKE_GPU_BYTES']) delete process.env[name];
  });
  const told = async (environment: Record<string, string>) => {
    Object.assign(process.env, environment);
    const engine = new Engine(path.join(folder, 'store'), 2);
    const wish = { mode: 'auto', bytes: ROOM } as const;
    const runner = await engine.load({ path: file, name: 'm', identity: 'm' }, 'f16', wish, () => undefined);
    const { gpu } = runner.memory();
    await engine.close();
    return gpu;
  };
  const all = await told({ REPOWAVE_CUDA: library, REPOWAVE_GPU: fakeGpu });
  assert.equal(all, 'weights on fake GPU, attention on emulated');
  assert.match(
    (await told({ FAKE_GPU_BYTES: '1000' }))!,
    /^weights on the CPU, attention on emulated: .*alloc/,
  );
  // Enough for each part of the weights, not for what a session needs.
  assert.match(
    (await told({ FAKE_GPU_BYTES: String(fs.statSync(file).size) }))!,
    /^weights on the CPU, attention on emulated: llama.cpp cannot make a context/,
  );
});

test(
  'emulated: a GPU without room for the weights, or for what a session needs, is a problem of the GPU',
  { skip },
  async () => {
    const file = path.join(folder, 'model.gguf');
    fs.writeFileSync(file, tinyModel({ architecture: 'qwen3', queryHeads: 4, kvHeads: 2, headSize: 64 }));
    const load = () => addon.loadModel(file, () => undefined, { plugin: fakeGpu, shared: true });
    process.env.FAKE_GPU_BYTES = '1000';
    await assert.rejects(load, { code: 'GpuProblem', message: /allocate/ });
    delete process.env.FAKE_GPU_BYTES;
    const model = await load();
    process.env.FAKE_GPU_BYTES = '1000';
    assert.throws(() => open(model), { code: 'GpuProblem' });
    delete process.env.FAKE_GPU_BYTES;
    model.close();
  },
);

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
  { skip },
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

test('emulated: while copies are under way nothing is brought ahead, and that is no error', async () => {
  const model = await load({ architecture: 'qwen2', queryHeads: 2, kvHeads: 1, headSize: 64 });
  const processor = open(model);
  const views = await storeSegments(processor);
  process.env.REPOWAVE_EMULATED_STREAMS = 'late';
  const device = open(model, ROOM);
  const actual = await answer(device, views);
  delete process.env.REPOWAVE_EMULATED_STREAMS;
  assertSame(actual, await answer(processor, views));
  assert.equal(actual.device.problem, '');
  assert.ok(actual.device.misses > 0);
  for (const session of [processor, device]) session.close();
  model.close();
});

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
  if (!isReal) assert.ok(exchanged.misses < first.misses * 0.75, 'clusters of the others are there still');
  const again = await copiedBy([e, c, b, a]);
  assert.ok(again.copied < first.copied * 0.05, 'the tiles alone');
  if (!isReal) assert.equal(again.misses, 0);
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

test('emulated: a device that computes something else than the processor is not used', async () => {
  const sources = path.join(folder, 'sources');
  const native = path.resolve(import.meta.dirname, '../../native');
  fs.cpSync(path.join(native, 'kernels/cuda'), path.join(sources, 'kernels/cuda'), { recursive: true });
  const score = path.join(sources, 'kernels/cuda/score.cuh');
  const right = fs.readFileSync(score, 'utf8');
  const wrong = right.replace('tile.bias + tile.log_sizes[c]', 'tile.bias');
  assert.notEqual(wrong, right);
  fs.writeFileSync(score, wrong);
  const file = path.join(folder, 'model.gguf');
  fs.writeFileSync(file, tinyModel({ architecture: 'qwen2', queryHeads: 2, kvHeads: 1, headSize: 64 }));
  const model = await addon.loadModel(file, () => undefined);
  const cuda = { library: compileLibrary('librepowave_wrong.so', sources), bytes: ROOM };
  const session = addon.createSession(model, { threads: 2, batch: 64, cuda });
  assert.match(session.device().problem, /something else than the processor/);
  assert.equal(session.device().name, '');
  for (const each of [session, model]) each.close();
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
