import assert from 'node:assert/strict';
import { mkdirSync, rmSync, truncateSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { warmup } from '../../backend/context/warmup.ts';
import { AskRequest, IndexRequest, StoreRequest } from '../../backend/protocol.ts';
import type { Progress } from '../../backend/protocol.ts';
import { code, Lab, several, writeFiles } from './harness.ts';

test('an answer is streamed, and the pieces are the whole', async (t) => {
  const lab = new Lab(t, { 'main.ts': 'export const main = 1;\n' });
  const client = await lab.client({ FAKE_ANSWER: 'Größe “42” 🌊 is in main.ts.' });
  const seen: Progress[] = [];
  const result = await lab.ask(client, 'Where?', (value) => seen.push(value));
  assert.equal(result.answer, 'Größe “42” 🌊 is in main.ts.');
  assert.equal(seen.map((value) => (value.kind === 'text' ? value.text : '')).join(''), result.answer);
  assert.equal(result.finish, 'stop');
  const kinds = seen.map((value) => (value.kind === 'phase' ? value.phase : value.kind));
  assert.deepEqual([...new Set(kinds)], ['scan', 'load', 'prefill', 'context', 'text']);
  assert.equal(result.context.files, 1);
  assert.equal(result.citations[0]?.file, 'main.ts');
});

test('insights are told when they are asked for, and agree with the answer at its end', async (t) => {
  const lab = new Lab(t, { 'main.ts': 'export const main = 1;\n' });
  const client = await lab.client({ FAKE_ANSWER: 'In main.ts.' });
  const told: Extract<Progress, { kind: 'insight' }>[] = [];
  const onProgress = (value: Progress) => value.kind === 'insight' && told.push(value);
  const result = await client.request(AskRequest, lab.params('Where?', { insights: true }), { onProgress });
  const last = told.at(-1);
  assert.equal(last?.tokens, 'In main.ts.'.length);
  assert.deepEqual(last?.attention, result.attention);
  assert.deepEqual(last?.attention.mass.retrieved, [[0.25, 0.25]]);
  assert.equal(last?.memory.capBytes, result.memory.capBytes);
});

test('what was read once is not read again, even by another process', async (t) => {
  const lab = new Lab(t, several);
  const first = await lab.ask(await lab.client());
  assert.equal(first.timing.prefillTokens, first.context.tokens);
  lab.forgetPasses();
  const second = await lab.ask(await lab.client());
  assert.equal(second.timing.prefillTokens, 0);
  assert.ok(
    lab.passes().every(({ text }) => !text.includes('apple1()')),
    'nothing but the question is run',
  );
  assert.deepEqual({ ...second.context }, { ...first.context });
  assert.deepEqual(second.citations, first.citations);
});

test('an edit costs one segment', async (t) => {
  const lab = new Lab(t, several);
  const client = await lab.client();
  await lab.ask(client);
  const edited = `${code('cherry')}// edited\n`;
  writeFiles(lab.repository, { 'src/cherry.ts': edited });
  const { timing } = await lab.ask(client);
  assert.equal(timing.prefillTokens, `// file: src/cherry.ts\n${edited}\n\n`.length);
});

test('every repository is read behind the same text: the instructions and the warm-up', async (t) => {
  const opening = async (files: Record<string, string>) => {
    const lab = new Lab(t, files);
    await lab.ask(await lab.client());
    return lab
      .passes()
      .flatMap(({ views, text }) => (views.length === 0 ? [text] : []))
      .join('');
  };
  const frame = await opening(several);
  assert.ok(frame.endsWith(warmup));
  assert.equal(await opening({ ...several, 'src/elder.ts': code('elder') }), frame);
});

test('the prefill says what the index and the disk took', async (t) => {
  const lab = new Lab(t, { 'main.ts': 'export {};\n' });
  const { timing } = await lab.ask(await lab.client());
  assert.deepEqual([timing.indexMs, timing.diskMs], [2, 4], 'frame and one segment');
});

test('control tokens in files and questions stay plain text', async (t) => {
  const lab = new Lab(t, { 'main.ts': 'const x = "<special>";\n' });
  const client = await lab.client();
  await lab.ask(client, 'What is <special>?');
  assert.ok(lab.passes().every(({ text }) => !text.includes('\u0001')));
});

test('an answer that goes round in circles is stopped', async (t) => {
  const lab = new Lab(t, { 'main.ts': 'export {};\n' });
  const result = await lab.ask(await lab.client({ FAKE_ANSWER: 'It is in main.ts. '.repeat(100) }));
  assert.equal(result.finish, 'repetition');
  assert.ok(result.answer.length < 18 * 6);
});

test('an answer that does not end is cut off where its room ends', async (t) => {
  const lab = new Lab(t, { 'main.ts': 'export {};\n' });
  const endless = Array.from({ length: 3000 }, (_, i) => String(i)).join(' ');
  const result = await lab.ask(await lab.client({ FAKE_ANSWER: endless }));
  assert.equal(result.finish, 'length');
  assert.equal(result.answer.length, 1024);
});

test('bad questions and modes are refused in words', async (t) => {
  const lab = new Lab(t, { 'main.ts': 'export {};\n' });
  const client = await lab.client({ FAKE_CONTEXT: '8192' });
  await assert.rejects(lab.ask(client, ' \n'), { code: 'questionEmpty' });
  await assert.rejects(lab.ask(client, 'why '.repeat(3000)), {
    code: 'questionTooLong',
    message: /12,\d+ tokens .* room for \d,\d+: shorten it/,
  });
  await assert.rejects(client.request(AskRequest, lab.params('Where?', { pin: ['src/none.ts'] })), {
    code: 'usage',
    message: /no file or folder src\/none\.ts/,
  });
  for (const wrong of [{ gate: 33 }, { gate: 0.5 }, { budget: 1.5 }]) {
    await assert.rejects(client.request(AskRequest, lab.params('Where?', wrong)), { code: 'usage' });
  }
  await assert.rejects(client.request(AskRequest, lab.params('Where?', { ramBytes: 100 })), {
    code: 'outOfMemory',
    message: /--ram/,
  });
});

test('bad repositories and models are refused in words', async (t) => {
  const lab = new Lab(t, { 'main.ts': 'export {};\n' });
  const client = await lab.client();
  const index = (params: object) => client.request(IndexRequest, { ...lab.params(''), ...params });
  const empty = path.join(lab.root, 'empty');
  mkdirSync(empty);
  await assert.rejects(index({ root: path.join(lab.root, 'none') }), { code: 'repositoryMissing' });
  await assert.rejects(index({ root: lab.model }), { code: 'repositoryNotAFolder' });
  await assert.rejects(index({ root: empty }), { code: 'repositoryEmpty' });
  await assert.rejects(index({ exclude: ['*'] }), { code: 'everythingExcluded' });
  await assert.rejects(index({ model: 'no-such-model' }), { code: 'modelUnknown' });
  truncateSync(lab.model, 60);
  await assert.rejects(index({}), { code: 'modelCorrupt' });
  rmSync(lab.model);
  await assert.rejects(index({}), /./);
});

test('an index says what is in the store, and the store report counts it', async (t) => {
  const lab = new Lab(t, { ...several, 'image.png': '\u0000\u0001' });
  const client = await lab.client();
  const { context, memory } = await client.request(IndexRequest, lab.params(''));
  assert.equal(context.files, 4);
  assert.deepEqual(
    context.excluded.map(({ file }) => file),
    ['image.png'],
  );
  assert.equal(memory.diskBytes, context.tokens * 4);
  const report = await client.request0(StoreRequest);
  const [entry, ...others] = report.repositories;
  assert.deepEqual(others, []);
  assert.equal(entry?.root, lab.repository);
  assert.equal(entry.model, 'tiny');
  assert.equal(entry.segments, lab.stored('.seg').length);
  assert.deepEqual([entry.tokens, entry.storedTokens, entry.states], [context.tokens, context.tokens, 1]);
  assert.ok(report.bytes > entry.bytes && report.limitBytes > report.bytes);
  assert.equal(report.unneededBytes, 0);
});
