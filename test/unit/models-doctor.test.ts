import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { checkAddon, checkGpu, checkMemory, checkNode, checkPlatform, doctor } from '../../backend/doctor.ts';
import type { CudaReport, NativeAddon } from '../../backend/engine/native.ts';
import { CATALOGUE, findModel } from '../../backend/models/catalogue.ts';

const noGpu: CudaReport = { library: '', driver: 0, problem: 'no NVIDIA driver', devices: [] };
const addon = { isa: 'avx2', llamaVersion: '0.5.0', cuda: () => noGpu } as NativeAddon;

test('a Node that is too old is named with the version to install', () => {
  assert.equal(checkNode('20.19.0').ok, true);
  assert.equal(checkNode('22.1.0').ok, true);
  assert.equal(checkNode('20.18.3').ok, false);
  assert.deepEqual(checkNode('18.19.1'), {
    name: 'Node',
    ok: false,
    detail: '18.19.1; install version 20.19 or newer',
  });
});

test('a platform without libraries is said to be one', () => {
  assert.equal(checkPlatform('linux', 'x64').ok, true);
  assert.equal(checkPlatform('linux', 'arm64').ok, false);
  assert.match(checkPlatform('win32', 'x64').detail, /Linux x64 only/);
});

test('too little memory is told with what is needed', () => {
  assert.equal(checkMemory(8e9, 1e9).detail, '8 GB, 1 GB of it free');
  assert.match(checkMemory(1e9, 5e8).detail, /at least 2 GB/);
});

test('the addon tells what it computes with, or why it does not load', () => {
  const good = checkAddon(() => addon);
  assert.match(good[0]!.detail, /computing with avx2$/);
  assert.deepEqual(good[1], { name: 'Native addon', ok: true, detail: 'llama.cpp 0.5.0' });
  const bad = checkAddon(() => {
    throw new Error('Cannot find module x\nRequire stack: y');
  });
  assert.equal(bad[1]!.ok, false);
  assert.equal(bad[1]!.detail, 'Cannot find module x; build it with npm run build');
});

test('a GPU is told with its driver and memory, and what keeps it from being used', () => {
  assert.equal(checkGpu(noGpu, {}).detail, 'no NVIDIA driver; not needed');
  const device = { name: 'NVIDIA X', totalBytes: 24e9, freeBytes: 20e9, capability: '8.9', usable: true };
  const found = (driver: number, capability = '8.9', usable = true): CudaReport => ({
    ...{ library: '', driver, problem: '' },
    devices: [{ ...device, capability, usable }],
  });
  const [cuda, vulkan] = ['/p/libggml-cuda.so', '/p/libggml-vulkan.so'];
  assert.deepEqual(checkGpu(found(13000), { cuda }), {
    name: 'GPU',
    ok: true,
    detail:
      'NVIDIA X, 20 GB of 24 GB free, compute capability 8.9; driver for CUDA 13.0; weights by /p/libggml-cuda.so; used with --gpu auto only',
  });
  assert.match(checkGpu(found(13000), {}).detail, /weights stay on the processor until you run npm install/);
  assert.match(
    checkGpu(found(13000, '9.0'), { cuda }).detail,
    /needs a driver for CUDA 13\.1 on compute capability 9\.0; used/,
  );
  assert.match(checkGpu(found(13000, '7.5', false), {}).detail, /7\.5, for which there are no kernels/);
  assert.match(
    checkGpu({ library: '', driver: 12040, problem: 'driver too old', devices: [] }, {}).detail,
    /CUDA 12\.4; driver too old; not needed/,
  );
  assert.match(
    checkGpu(noGpu, { vulkan }).detail,
    /^no NVIDIA driver; weights by \/p\/libggml-vulkan\.so; used with/,
  );
});

test('the folders need not be there, and a missing model is told with what brings it', async (t) => {
  const root = mkdtempSync(path.join(tmpdir(), 'repowave-doctor-'));
  t.after(() => rmSync(root, { recursive: true }));
  const modelsDirectory = path.join(root, 'a', 'models');
  const checks = await doctor({ modelsDirectory, storeDirectory: path.join(root, 'b'), addon: () => addon });
  const names = ['Node', 'Platform', 'Memory', 'Processor', 'Native addon', 'GPU', 'git', 'Models'];
  assert.deepEqual(
    checks.map(({ name }) => name),
    [...names, 'Disk for models', 'Disk for the store'],
  );
  const models = checks.find(({ name }) => name === 'Models');
  assert.equal(models?.ok, false);
  assert.match(models.detail, /none in .*models; the first question downloads qwen2\.5-coder-0\.5b/);
});

test('a damaged model is named', async (t) => {
  const root = mkdtempSync(path.join(tmpdir(), 'repowave-doctor-'));
  t.after(() => rmSync(root, { recursive: true }));
  const { file } = findModel(CATALOGUE[1]!.id);
  writeFileSync(path.join(root, file), 'torn');
  const checks = await doctor({ modelsDirectory: root, storeDirectory: root, addon: () => addon });
  const models = checks.find(({ name }) => name === 'Models');
  assert.equal(models?.ok, false);
  assert.match(models.detail, new RegExp(`^${file} .*damaged; delete it`));
});
