// What is left when reading or answering is cut short, and when files of the store are damaged.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import test from 'node:test';
import { AskRequest, StoreRequest } from '../../backend/protocol.ts';
import { code, ended, Lab, logged, several, writeFiles } from './harness.ts';

test('a cancelled reading keeps what was finished, and the next one goes on', async (t) => {
  const lab = new Lab(t, several);
  const backend = await lab.start({ FAKE_HOLD: 'cherry20()' });
  const client = await lab.connect(backend);
  const controller = new AbortController();
  const asked = client.request(AskRequest, lab.params('Where?'), { signal: controller.signal });
  const cancelled = assert.rejects(asked, { code: 'cancelled' });
  await logged(backend, 'fake: holding');
  controller.abort();
  await cancelled;

  const { timing, context } = await lab.ask(await lab.client());
  assert.ok(timing.prefillTokens > 0 && timing.prefillTokens < context.tokens / 2, `${timing.prefillTokens}`);
});

test('a question that waits can be cancelled, and does not hold up the next', async (t) => {
  const lab = new Lab(t, several);
  const backend = await lab.start({ FAKE_HOLD: 'cherry20()' });
  const client = await lab.connect(backend);
  const [running, waiting] = [new AbortController(), new AbortController()];
  const first = client.request(AskRequest, lab.params('First?'), { signal: running.signal });
  const firstCancelled = assert.rejects(first, { code: 'cancelled' });
  await logged(backend, 'fake: holding');
  const second = client.request(AskRequest, lab.params('Second?'), { signal: waiting.signal });
  waiting.abort();
  await assert.rejects(second, { code: 'cancelled' });
  running.abort();
  await firstCancelled;
  assert.equal((await client.request0(StoreRequest)).repositories.length, 1);
});

test('a backend killed while reading loses no finished segment', async (t) => {
  const lab = new Lab(t, several);
  const backend = await lab.start({ FAKE_HOLD: 'date20()' });
  const asked = assert.rejects(lab.ask(await lab.connect(backend)), { code: 'backendUnavailable' });
  await logged(backend, 'fake: holding');
  backend.child.kill('SIGKILL');
  await asked;
  await ended(backend);
  const before = lab.stored('.seg').length;
  const { timing } = await lab.ask(await lab.client());
  assert.equal(lab.stored('.seg').length, before + 1);
  assert.equal(timing.prefillTokens, `// file: src/date.ts\n${code('date')}\n\n`.length);
});

test('a backend killed while answering loses nothing that was read', async (t) => {
  const lab = new Lab(t, several);
  const backend = await lab.start({ FAKE_HOLD: 'Question: Where?' });
  const asked = assert.rejects(lab.ask(await lab.connect(backend)), { code: 'backendUnavailable' });
  await logged(backend, 'fake: holding');
  backend.child.kill('SIGKILL');
  await asked;
  await ended(backend);
  assert.equal((await lab.ask(await lab.client())).timing.prefillTokens, 0);
});

test('a store without room is reported before anything is read', async (t) => {
  const lab = new Lab(t, several);
  mkdirSync(lab.store);
  if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', lab.store]).status !== 0) {
    return t.skip('only root can mount a small disk');
  }
  try {
    await assert.rejects(lab.ask(await lab.client()), { code: 'noSpace' });
    assert.deepEqual(lab.stored('.seg'), []);
  } finally {
    spawnSync('umount', ['-l', lab.store]);
  }
});

test('a torn segment file is read again', async (t) => {
  const lab = new Lab(t, several);
  await lab.ask(await lab.client());
  const [torn] = lab.stored('.seg');
  assert.ok(torn);
  truncateSync(torn, 10);
  const backend = await lab.start();
  const [result] = await Promise.all([
    lab.ask(await lab.connect(backend)),
    logged(backend, 'computed again'),
  ]);
  assert.ok(result.timing.prefillTokens > 0);
  assert.equal((await lab.ask(await lab.client())).timing.prefillTokens, 0);
});

test('a damaged snapshot is made anew', async (t) => {
  const lab = new Lab(t, several);
  const client = await lab.client();
  await lab.ask(client);
  const [manifest] = lab.stored('.json').filter((file) => file.includes('/snapshots/'));
  assert.ok(manifest);
  const saved = readFileSync(manifest, 'utf8');
  writeFileSync(manifest, saved.replace('"tokens":', '"tokens":1'));
  assert.equal((await lab.ask(client)).timing.prefillTokens, 0);
  assert.equal(readFileSync(manifest, 'utf8'), saved);
});

test('two backends share one store', async (t) => {
  const lab = new Lab(t, several);
  const clients = await Promise.all([lab.client(), lab.client()]);
  const results = await Promise.all(clients.map((client) => lab.ask(client)));
  assert.deepEqual(results[0]?.context, results[1]?.context);
  assert.equal((await lab.ask(await lab.client())).timing.prefillTokens, 0);
});

test('what a killed process was writing is swept away', async (t) => {
  const lab = new Lab(t, several);
  await lab.ask(await lab.client());
  const [segment] = lab.stored('.seg');
  assert.ok(segment);
  const [old, fresh] = [`${segment}.tmp-1-0`, `${segment}.tmp-2-0`];
  writeFileSync(old, '');
  writeFileSync(fresh, '');
  utimesSync(old, 0, 0);
  writeFiles(lab.repository, { 'src/new.ts': code('new') });
  await lab.ask(await lab.client());
  assert.deepEqual(lab.stored('-0'), [fresh]);
});
