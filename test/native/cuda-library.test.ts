/** Which of the two libraries of the CUDA kernels is taken; the one that works is the emulator's. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { loadAddon } from '../../backend/engine/native.ts';
import { buildEmulatedLibrary } from '../cuda/driver.ts';

process.env.REPOWAVE_NATIVE = path.resolve(import.meta.dirname, '../../dist/native/repowave.node');
const addon = loadAddon();
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'repowave-cuda-'));
const [newest, older] = ['librepowave_cuda.so', 'librepowave_cuda12.so'].map((name) =>
  path.join(folder, name),
) as [string, string];
let working = '';
before(() => {
  working = buildEmulatedLibrary();
});
after(() => fs.rmSync(folder, { recursive: true }));

test('emulated: where the driver cannot take the library, the one for older drivers is used', () => {
  assert.notEqual(addon.cuda(newest).problem, '');
  fs.writeFileSync(newest, 'no library');
  assert.notEqual(addon.cuda(newest).problem, '');
  fs.copyFileSync(working, older);
  const found = addon.cuda(newest);
  assert.equal(found.problem, '');
  assert.equal(found.library, older);
  assert.equal(found.devices.length, 1);
});

test('emulated: a library that works is used, whatever lies beside it', () => {
  for (const each of [newest, older]) fs.rmSync(each);
  fs.copyFileSync(working, newest);
  fs.writeFileSync(older, 'no library');
  assert.equal(addon.cuda(newest).library, newest);
});
