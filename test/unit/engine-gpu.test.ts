import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeUse, findPlugins, planGpu } from '../../backend/engine/gpu.ts';
import type { CudaReport } from '../../backend/engine/native.ts';

const library = '/lib/librepowave_cuda.so';
const none: CudaReport = { library, driver: 0, problem: 'no NVIDIA driver', devices: [] };
const withDevice = (capability: string, driver = 13_000, usable = true): CudaReport => ({
  ...{ library, driver, problem: '' },
  devices: [{ name: 'NVIDIA X', totalBytes: 24e9, freeBytes: 20e9, capability, usable }],
});
const [cuda, vulkan] = ['/p/libggml-cuda.so', '/p/libggml-vulkan.so'];
const bytes = 5;
const attention = { library, bytes };

test('weights and attention share the memory of an NVIDIA GPU', () => {
  assert.deepEqual(planGpu(bytes, withDevice('8.9'), { cuda, vulkan }), {
    weights: { plugin: cuda, shared: true },
    attention,
    problems: [],
  });
});

test('without a plug-in attention alone is on the GPU, and what brings one is told', () => {
  const { problems, ...plan } = planGpu(bytes, withDevice('8.9'), {});
  assert.deepEqual(plan, { attention });
  assert.match(problems.join(), /^no plug-in.*npm install .*linux-x64-cuda@\d/);
});

test('a GPU that there are no kernels for can have the weights alone', () => {
  assert.deepEqual(planGpu(bytes, withDevice('8.6', 13_000, false), { cuda }), {
    weights: { plugin: cuda, shared: false },
    problems: ['there are no CUDA kernels for this GPU'],
  });
  assert.deepEqual(planGpu(bytes, none, { vulkan }), {
    weights: { plugin: vulkan, shared: false },
    problems: ['no NVIDIA driver'],
  });
});

test("llama.cpp's CUDA plug-in is not loaded where it would end the process", () => {
  for (const [capability, driver, runs] of [
    ['9.0', 13_000, false],
    ['9.0', 13_010, true],
    ['8.0', 13_000, false],
    ['8.6', 13_000, true],
  ] as const) {
    const { weights, problems } = planGpu(bytes, withDevice(capability, driver), { cuda });
    assert.equal(weights?.plugin, runs ? cuda : undefined, `${capability} with ${driver}`);
    assert.match(problems.join(), runs ? /^$/ : /^[^;]*driver for CUDA 13\.1 on compute capability/);
  }
  assert.deepEqual(planGpu(bytes, none, { cuda }), { problems: ['no NVIDIA driver'] });
  const other = planGpu(bytes, withDevice('9.0'), { cuda, vulkan });
  assert.deepEqual(other.weights, { plugin: vulkan, shared: false });
});

test('a plug-in that the environment names is the only one', (t) => {
  t.after(() => delete process.env.REPOWAVE_GPU);
  process.env.REPOWAVE_GPU = '/x/libggml-vulkan.so';
  assert.deepEqual(findPlugins(), { vulkan: '/x/libggml-vulkan.so' });
  process.env.REPOWAVE_GPU = '/x/other.so';
  assert.deepEqual(findPlugins(), { cuda: '/x/other.so' });
});

test('one sentence says what is computed where, and why it is not more', () => {
  const use = (weights: string, attention: string, ...problems: string[]) =>
    describeUse({ weights, attention, problems });
  assert.equal(use('X', 'X'), 'weights and attention on X');
  assert.equal(use('X', '', 'a', 'b'), 'weights on X, attention on the CPU: a; b');
  assert.equal(use('', 'X'), 'weights on the CPU, attention on X');
  assert.equal(use('', '', 'no NVIDIA driver'), 'weights and attention on the CPU: no NVIDIA driver');
});
