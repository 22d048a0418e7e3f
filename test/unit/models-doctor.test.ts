import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { checkAddon, checkMemory, checkNode, checkPlatform, doctor } from '../../backend/doctor.ts';
import type { NativeAddon } from '../../backend/engine/native.ts';
import { CATALOGUE, findModel } from '../../backend/models/catalogue.ts';

const addon = { isa: 'avx2', llamaVersion: '0.5.0' } as NativeAddon;

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

test('the folders need not be there, and a missing model is told with what brings it', async (t) => {
  const root = mkdtempSync(path.join(tmpdir(), 'repowave-doctor-'));
  t.after(() => rmSync(root, { recursive: true }));
  const modelsDirectory = path.join(root, 'a', 'models');
  const checks = await doctor({ modelsDirectory, storeDirectory: path.join(root, 'b'), addon: () => addon });
  const names = ['Node', 'Platform', 'Memory', 'Processor', 'Native addon', 'git', 'Models'];
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
