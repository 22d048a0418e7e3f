import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { warmup } from '../../backend/context/warmup.ts';
import { AskRequest, FindRequest, IndexRequest, StoreRequest } from '../../backend/protocol.ts';
import type { AskParams, AskResult, Progress } from '../../backend/protocol.ts';
import { code, ended, Lab, logged, writeFiles } from './harness.ts';

/** Too long to be read in one sequence. */
const several = {
  'src/apple.ts': code('apple'),
  'src/banana.ts': code('banana'),
  'src/cherry.ts': code('cherry'),
  'src/date.ts': code('date'),
};

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

test('files are chosen by what a long question is about, and found without an answer', async (t) => {
  const lab = new Lab(t, several);
  const client = await lab.client();
  const prompt = 'You have tools for apple7, cherry7 and date7. What does banana7 return?';
  const more = { gate: 1, about: 'What does banana7 return?' };
  const { gate } = await client.request(AskRequest, lab.params(prompt, more));
  assert.deepEqual(
    gate?.segments.map(({ paths }) => paths),
    [['src/banana.ts']],
  );
  const found = await client.request(FindRequest, { ...lab.params('Where is cherry7?'), limit: 1 });
  assert.deepEqual(
    found.segments.map(({ paths }) => paths),
    [['src/cherry.ts']],
  );
  assert.equal(found.files[0], 'src/cherry.ts');
  await assert.rejects(client.request(FindRequest, lab.params(' ')), { code: 'questionEmpty' });
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
  assert.equal(await opening(orchard), frame);
});

test('every segment stands right behind the frame, the question behind the longest', async (t) => {
  const lab = new Lab(t, several);
  await lab.ask(await lab.client(), 'Where is banana7?');
  const passes = lab.passes();
  const frame = passes.filter(({ views }) => views.length === 0).reduce((sum, { tokens }) => sum + tokens, 0);
  const stored = passes.filter(({ views }) => views.length === 1);
  const starts = stored.filter(({ text }) => text.startsWith('// file'));
  assert.deepEqual(new Set(starts.map(({ position }) => position)), new Set([frame]));
  const longest = Math.max(...stored.map(({ position, tokens }) => position + tokens));
  const question = passes.find(({ views }) => views.length > 1);
  assert.equal(question?.position, longest);
  assert.match(question.text, /^\n\nFiles that may matter: src\/banana\.ts.*\nQuestion: Where is banana7\?/);
});

test('segments that the question is not about are turned down, not off', async (t) => {
  const words = ['apple', 'banana', 'cherry', 'date', 'elder', 'fig'];
  const lab = new Lab(t, Object.fromEntries(words.map((word) => [`${word}.ts`, code(word)])));
  await lab.ask(await lab.client(), 'What does fig1 return?');
  const [frame, ...segments] = lab.passes().at(-1)?.views ?? [];
  assert.equal(frame, 'exact 0');
  assert.equal(segments.length, 1 + words.length, 'the list of files and every file');
  assert.equal(segments.at(-1), 'exact 0', 'fig.ts');
  assert.equal(segments.filter((view) => view === 'coarse -4').length, words.length);
});

const fruits = ['apple', 'banana', 'cherry', 'date', 'elder', 'fig'];
const orchard = Object.fromEntries(fruits.map((word) => [`src/${word}.ts`, code(word)]));
const chosen = (result: AskResult) =>
  result.gate?.segments.map(({ paths, reason }) => `${paths.join()} ${reason}`);

test('pinned files are looked at too, dropped ones not at all', async (t) => {
  const lab = new Lab(t, orchard);
  const client = await lab.client();
  const more = { pin: ['src/apple.ts'], drop: ['./src/date.ts'], others: 'estimate' as const };
  const result = await client.request(AskRequest, lab.params('What does banana7 return?', more));
  assert.deepEqual(chosen(result), ['src/apple.ts pinned', 'src/banana.ts words']);
  assert.equal(lab.passes().at(-1)?.views.length, 1 + 1 + fruits.length - 1, 'frame, list, all but date.ts');
});

test('with others masked only the chosen segments are there, with the gate off all of them', async (t) => {
  const lab = new Lab(t, orchard);
  const client = await lab.client();
  const views = async (more: Partial<AskParams>) => {
    const result = await client.request(AskRequest, lab.params('What do fig1 and apple2 return?', more));
    return { result, views: lab.passes().at(-1)?.views };
  };
  const masked = await views({ others: 'mask', mode: 'wave' });
  assert.deepEqual(masked.views, ['exact 0', 'wave 0', 'wave 0']);
  assert.equal(masked.result.mode, 'wave');
  assert.equal(masked.result.gate?.others, 'masked');
  const off = await views({ gate: 'off' });
  assert.deepEqual(off.views, ['exact 0', ...Array.from({ length: 1 + fruits.length }, () => 'wave 0')]);
  assert.equal(off.result.gate, null);
  const exact = await views({ mode: 'exact', gate: 1 });
  assert.equal(exact.views?.filter((view) => view === 'exact -4').length, fruits.length);
});

test('a sentence about another file makes it visible, and the looks and passages say so', async (t) => {
  const lab = new Lab(t, orchard);
  const answer = 'It calls cherry3 and cherry4 of cherry.ts. That is all.';
  const client = await lab.client({ FAKE_ANSWER: answer });
  const result = await client.request(AskRequest, lab.params('What does banana7 return?'));
  assert.deepEqual(
    result.gate?.looks.map(({ end, added, removed }) => [answer.slice(0, end), added.paths, removed]),
    [['It calls cherry3 and cherry4 of cherry.ts.', ['src/cherry.ts'], null]],
  );
  assert.deepEqual(
    result.passages.map(({ start, end }) => answer.slice(start, end)),
    ['It calls cherry3 and cherry4 of cherry.ts.', 'That is all.'],
  );
  assert.ok(result.passages[1]?.citations.some(({ file }) => file === 'src/cherry.ts'));
  assert.equal(result.steps.steady.length, answer.length);
  assert.deepEqual(result.attention.layers, [[0.1, 0.3]]);
  assert.equal(result.attention.recall, null);
});

test('the prefill says what the index and the disk took', async (t) => {
  const lab = new Lab(t, { 'main.ts': 'export {};\n' });
  const { timing } = await lab.ask(await lab.client());
  assert.deepEqual([timing.indexMs, timing.diskMs], [2, 4], 'frame and one segment');
});

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

test('a question about a place shows its lines to the model, with what was said before, and looks around it', async (t) => {
  const lab = new Lab(t, several);
  const client = await lab.client();
  const place = { file: 'src/cherry.ts', startLine: 3, endLine: 4 };
  const earlier = [{ question: 'What is it?', answer: 'A fruit.' }];
  const ask = (more: Partial<AskParams>) =>
    client.request(AskRequest, lab.params('What does banana7 return?', { earlier, ...more }));
  await client.request(IndexRequest, lab.params(''));
  lab.forgetPasses();
  const { gate } = await ask({ place });
  const pinned = gate?.segments.filter(({ reason }) => reason === 'pinned').flatMap(({ paths }) => paths);
  assert.deepEqual(pinned, ['src/cherry.ts']);
  const [question] = lab.passes();
  assert.ok(
    question?.text.includes(
      'Earlier question: What is it?\nAnswer: A fruit.\n' +
        'The question is about lines 3 to 4 of src/cherry.ts:\n' +
        'export function cherry2() { return 2; }\nexport function cherry3() { return 3; }\n' +
        'Question: What does banana7 return?',
    ),
    question?.text,
  );
  const elsewhere = await ask({ place: { ...place, file: 'not-read.ts' } });
  assert.ok(!elsewhere.gate?.segments.some(({ reason }) => reason === 'pinned'));
});
