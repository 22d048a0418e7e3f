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
import { Engine } from '../../backend/engine/engine.ts';
import { findPlugins } from '../../backend/engine/gpu.ts';
import { buildEmulatedLibrary, compileLibrary } from '../cuda/driver.ts';
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

/** Weights on a GPU whose memory is the host's: that of the library for the emulator is too. */
const fakeGpu = path.resolve(import.meta.dirname, '../../build/native/fake_gpu.so');
/** Where there is a GPU, the library for it must share memory with llama.cpp's own plug-in. */
const isReal = process.env.REPOWAVE_CUDA_LIBRARY !== undefined;
const plugin = isReal ? findPlugins().cuda : fakeGpu;
const skip = isReal && 'tells of the fake GPU only';

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

/** @param tolerance of the logits: relative L2 */
function assertSame(actual: Answer, expected: Answer, tolerance = 1e-3): void {
  assert.deepEqual(actual.tokens, expected.tokens);
  actual.logits.forEach((row, i) =>
    assert.ok(relativeError(row, expected.logits[i]!) < tolerance, `logits of step ${i}`),
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
  assert.ok(Math.abs(actual.report.bytesPerStep / bytesPerStep - 1) < 1e-3);
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
    // Activations in front of quantised weights are rounded to 8 bits: the least difference may turn one of them.
    const tolerance = tiny.formats ? 5e-3 : 1e-3;
    assertSame(actual, expected, tolerance);
    const { layers, kvHeads, steps, samples } = actual.report;
    // A choice is compared with exact attention on the processor.
    assert.equal(samples, expected.report.samples);
    assert.equal(actual.device.refused, samples / kvHeads);
    assert.equal(actual.device.calls, steps * layers - samples / kvHeads);
    assert.ok(actual.device.misses > 0 && actual.device.hits > 0);
    assert.equal(actual.device.evicted, 0);
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

/** What comes out of reading a text behind a frame, and of a question about it. */
async function readBehind(session: NativeSession, frame: View, reader: NativeSession, name: string) {
  session.reset([frame]);
  const text = randomTokens(50, SEGMENT_TOKENS);
  const next = await session.forward(text, frame.segment.tokens, true);
  const logits = session.logits();
  const file = path.join(folder, `${name}.seg`);
  await session.save(file, '{}');
  const view: View = { segment: addon.openSegment(file), detail: 'wave', bias: 0, position: 0 };
  const { tokens } = await answer(reader, [frame, view]);
  return { next, logits, tokens };
}

for (const { name, model: tiny } of TINY_MODELS) {
  test(`emulated: ${name}: a text is read on the device as on the processor`, async () => {
    const file = path.join(folder, 'model.gguf');
    fs.writeFileSync(file, tinyModel(tiny));
    const model = await addon.loadModel(file, () => undefined);
    const [processor, reader, device] = [open(model), open(model), open(model, ROOM)];
    const [frame] = await storeSegments(processor);
    const expected = await readBehind(processor, frame!, reader, 'processor');
    const actual = await readBehind(device, frame!, reader, 'device');
    assert.ok(relativeError(actual.logits, expected.logits) < 1e-3);
    assert.equal(actual.next, expected.next);
    assert.deepEqual(actual.tokens, expected.tokens);
    const { problem, passes, clustered, refused } = device.device();
    assert.equal(problem, '');
    assert.equal(refused, 0);
    // What comes out of the last layer is wanted of the last pass only.
    const { layers } = reader.attentionReport();
    const batches = SEGMENT_TOKENS / 64;
    assert.equal(passes, batches * layers - (batches - 1));
    assert.ok(clustered > 0 && clustered <= layers);
    for (const session of [processor, reader, device]) session.close();
    model.close();
  });
}

/** With heads of 64 clusters come into the device's memory by 1 MiB. */
const CHUNK = 1 << 20;

test('emulated: with less memory on the device clusters go for others, or the processor attends', async () => {
  const file = path.join(folder, 'model.gguf');
  fs.writeFileSync(file, tinyModel({ architecture: 'qwen3', queryHeads: 4, kvHeads: 2, headSize: 64 }));
  const model = await addon.loadModel(file, () => undefined);
  const processor = open(model);
  const views = await storeSegments(processor);
  const budget = { ...BUDGET, tokens: 400 };
  const expected = await answer(processor, views, budget);
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
  assert.ok(all.bytes > 2 * CHUNK, 'more than one chunk');

  const fewer = await within(all.bytes - CHUNK);
  assert.ok(fewer.evicted > 0 && fewer.misses > all.misses);
  assert.equal(fewer.calls, all.calls);
  const few = await within(CHUNK + (300 << 10));
  assert.ok(few.calls > 0 && few.refused > all.refused);
  const none = await within(1 << 10);
  assert.equal(none.calls, 0);
  assert.equal(none.bytes, 0);

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
