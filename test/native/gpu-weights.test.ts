/**
 * Weights on a GPU, by one of llama.cpp's plug-ins, and attention on the processor. A software driver will do: the test
 * takes the first Vulkan device, such as that of Mesa's lavapipe, whose memory the processor's backend does not read.
 */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { loadAddon, type NativeModel, type NativeSession } from '../../backend/engine/native.ts';
import { TINY_MODELS, tinyModel, VOCABULARY } from '../fixtures/tiny-models.ts';
import { createRandom } from '../reference/random.ts';

process.env.REPOWAVE_NATIVE = path.resolve(import.meta.dirname, '../../dist/native/repowave.node');
// Software drivers would not count else, and products would be of 16 bits.
Object.assign(process.env, { GGML_VK_VISIBLE_DEVICES: '0', GGML_VK_DISABLE_F16: '1' });
const addon = loadAddon();
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'repowave-gpu-'));
after(() => fs.rmSync(folder, { recursive: true }));
const SEGMENT_TOKENS = 200;
const modelFile = path.join(folder, 'model.gguf');

const vulkan = path.resolve(
  import.meta.dirname,
  '../../node_modules/@node-llama-cpp/linux-x64-vulkan/bins/linux-x64-vulkan/libggml-vulkan.so',
);
const load = (plugin?: string): Promise<NativeModel> =>
  addon.loadModel(modelFile, () => undefined, plugin === undefined ? undefined : { plugin, shared: false });
const open = (model: NativeModel): NativeSession => addon.createSession(model, { threads: 2, batch: 64 });

/** Why nothing can be tried here; empty when it can. */
async function missing(): Promise<string> {
  if (!fs.existsSync(vulkan))
    return 'no plug-in: npm install --no-save @node-llama-cpp/linux-x64-vulkan@3.22.1';
  fs.writeFileSync(modelFile, tinyModel(TINY_MODELS[0]!.model));
  return load(vulkan).then(
    (model) => (model.close(), ''),
    (error: unknown) => `no Vulkan device: ${(error as Error).message}`,
  );
}
const skip = (await missing()) || false;

const randomTokens = (seed: number, length: number): Int32Array => {
  const { integer } = createRandom(seed);
  return Int32Array.from({ length }, () => integer(0, VOCABULARY - 1));
};

/** Everything that a session does: stores a segment, looks at it, answers, and tells what it has looked at. */
async function answer(model: NativeModel, name: string) {
  const session = open(model);
  session.reset([]);
  await session.forward(randomTokens(1, SEGMENT_TOKENS), 0, false);
  const file = path.join(folder, `${name}.seg`);
  await session.save(file, '{}');
  session.watch([[1, 0]]);
  await session.probe(randomTokens(2, 9), SEGMENT_TOKENS);
  const segment = addon.openSegment(file);
  const mass = await session.headMass([segment]);
  assert.equal(mass.length, 1);
  session.watch([]);

  session.reset([{ segment, detail: 'wave', bias: 0, position: 0 }]);
  session.setBudget({ share: 0, tokens: 50, passTokens: 16384, estimate: true });
  let next = await session.forward(randomTokens(3, 30), SEGMENT_TOKENS, true);
  session.startEvidence();
  const [tokens, logits] = [[next], [session.logits()]];
  for (let i = 0; i < 10; i++) {
    next = await session.forward(Int32Array.of(next), SEGMENT_TOKENS + session.tailTokens, true);
    tokens.push(next);
    logits.push(session.logits());
  }
  const evidence = session.takeEvidence();
  const stopped = session.forward(randomTokens(4, 2000), 0, false);
  session.cancel();
  await assert.rejects(stopped, { code: 'Cancelled' });
  assert.equal(session.tailTokens, 40);
  session.close();
  return { tokens, logits, evidence };
}

function relativeError(actual: Float32Array, expected: Float32Array): number {
  let [difference, norm] = [0, 0];
  expected.forEach((value, i) => {
    difference += (value - actual[i]!) ** 2;
    norm += value ** 2;
  });
  return Math.sqrt(difference / norm);
}

/** Software takes its time: of each way to attend one. */
const tried = TINY_MODELS.filter(({ model }) => ['llama', 'gemma2', 'gpt-oss'].includes(model.architecture));
for (const { name, model: tiny, tolerance = 2e-3 } of tried)
  test(`${name}: with the weights on a GPU the answer is the processor's`, { skip }, async () => {
    fs.writeFileSync(modelFile, tinyModel(tiny));
    const [onProcessor, onGpu] = [await load(), await load(vulkan)];
    assert.equal(onProcessor.info.gpu, '');
    assert.notEqual(onGpu.info.gpu, '');
    const [expected, actual] = [await answer(onProcessor, 'processor'), await answer(onGpu, 'gpu')];
    assert.deepEqual(actual.tokens, expected.tokens);
    actual.logits.forEach((row, i) => {
      const error = relativeError(row, expected.logits[i]!);
      assert.ok(error < tolerance, `logits of step ${i}: ${error}`);
    });
    const mass = relativeError(actual.evidence[0]!, expected.evidence[0]!);
    assert.ok(mass < 2e-2, `evidence: ${mass}`);
    onProcessor.close();
    onGpu.close();
  });

test('a plug-in that does not load is told, with the reason', async () => {
  fs.writeFileSync(modelFile, tinyModel(TINY_MODELS[0]!.model));
  const problem = { code: 'GpuProblem', message: /absent\.so/ };
  await assert.rejects(load(path.join(folder, 'absent.so')), problem);
  (await load()).close();
});
