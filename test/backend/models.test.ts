import assert from 'node:assert/strict';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { CATALOGUE } from '../../backend/models/catalogue.ts';
import {
  DownloadRequest,
  ModelsRequest,
  ProbeRequest,
  RemoveModelRequest,
  VerifyModelRequest,
} from '../../backend/protocol.ts';
import { code, Lab } from './harness.ts';

const [model] = CATALOGUE;
const id = model!.id;

/** Something that is not the model, where the model should be. */
function damage(lab: Lab): string {
  const file = path.join(lab.root, 'models', model!.file);
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, 'torn');
  writeFileSync(`${file}.partial`, 'torn');
  return file;
}

test('a model is verified: absent, or wrong, and removed with what is left of its downloads', async (t) => {
  const lab = new Lab(t, {});
  const client = await lab.client();
  assert.deepEqual(await client.request(VerifyModelRequest, { id }), { state: 'absent' });
  const file = damage(lab);
  assert.deepEqual(await client.request(VerifyModelRequest, { id }), { state: 'wrong' });
  assert.equal((await client.request(RemoveModelRequest, { id })).path, null);
  assert.equal(existsSync(file), false);
  assert.equal(existsSync(`${file}.partial`), false);
});

test('a file of the user’s is verified by its header, and never removed', async (t) => {
  const lab = new Lab(t, { 'readme.md': 'no model' });
  const client = await lab.client();
  assert.deepEqual(await client.request(VerifyModelRequest, { id: lab.model }), { state: 'verified' });
  const text = path.join(lab.repository, 'readme.md');
  await assert.rejects(client.request(VerifyModelRequest, { id: text }), { code: 'modelCorrupt' });
  await assert.rejects(client.request(RemoveModelRequest, { id: lab.model }), { code: 'modelUnknown' });
  assert.ok(existsSync(lab.model));
});

test('a model that is not open source comes with the address of its licence, and not without its being accepted', async (t) => {
  const lab = new Lab(t, {});
  const client = await lab.client();
  const models = await client.request0(ModelsRequest);
  const closed = models.filter(({ terms }) => terms !== null);
  assert.ok(closed.length > 0);
  for (const each of closed) {
    assert.match(each.terms ?? '', /^https:/);
    await assert.rejects(client.request(DownloadRequest, { id: each.id }), { code: 'licence' });
  }
});

test('the probe tells what would be read and how fast, and a folder with nothing to read has no bytes', async (t) => {
  const lab = new Lab(t, { 'a.ts': code('a', 2000), 'b.ts': code('b', 2000) });
  const client = await lab.client();
  const probe = await client.request(ProbeRequest, { root: lab.repository, exclude: ['b.ts'] });
  assert.equal(probe.sourceBytes, Buffer.byteLength(code('a', 2000)));
  assert.deepEqual(
    Object.keys(probe.prefillRates),
    CATALOGUE.map(({ id }) => id),
  );
  assert.ok(probe.checks.length > 5);
  assert.equal((await client.request(ProbeRequest, {})).sourceBytes, null);
  const nothing = await client.request(ProbeRequest, { root: lab.repository, exclude: ['*'] });
  assert.equal(nothing.sourceBytes, 0);
});
