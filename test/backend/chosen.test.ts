// What a question looks at closely.
import assert from 'node:assert/strict';
import test from 'node:test';
import { AskRequest, FindRequest, IndexRequest } from '../../backend/protocol.ts';
import type { AskParams, AskResult } from '../../backend/protocol.ts';
import { code, Lab, several } from './harness.ts';

const fruits = ['apple', 'banana', 'cherry', 'date', 'elder', 'fig'];
const orchard = Object.fromEntries(fruits.map((word) => [`src/${word}.ts`, code(word)]));
const chosen = (result: AskResult) =>
  result.gate?.segments.map(({ paths, reason }) => `${paths.join()} ${reason}`);

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
