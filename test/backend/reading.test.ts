import assert from 'node:assert/strict';
import test from 'node:test';
import { AskRequest, IndexRequest, type AskParams } from '../../backend/protocol.ts';
import { code, Lab, logged, writeFiles } from './harness.ts';

/** About 80,000 tokens of the stand-in: more than a question waits for. */
const fruits = ['apple', 'banana', 'cherry', 'damson', 'elder', 'figfig', 'grape', 'lemon'];
const orchard = Object.fromEntries(
  fruits.flatMap((word) =>
    ['one', 'two', 'three'].map((part) => [`${word}/${part}.ts`, code(`${word}${part}`, 3300)]),
  ),
);

test('a question about a big repository is answered from what it needs, and says what it has not read', async (t) => {
  const lab = new Lab(t, orchard);
  const backend = await lab.start({ FAKE_HOLD: 'damsontwo20()' });
  const client = await lab.connect(backend);
  const result = await client.request(AskRequest, lab.params('What does lemonthree7 return?'));
  const { coverage, tokens, files } = result.context;
  assert.equal(files, 24);
  assert.ok(coverage > 0.1 && coverage < 0.3, `${coverage}`);
  assert.ok(result.timing.prefillTokens < 20_000 && tokens > 70_000);
  assert.deepEqual(result.gate?.segments[0]?.paths, ['lemon/three.ts']);
  assert.ok(!result.missed.includes('lemon/three.ts') && result.missed.includes('grape/three.ts'));
  // Its rest is read as soon as there is nothing else to do.
  await logged(backend, 'fake: holding');
  const next = await client.request(AskRequest, lab.params('grapeone1 and grapetwo2?', { wait: 'none' }));
  assert.ok(next.context.coverage > coverage && next.context.coverage < 1);
  assert.deepEqual(
    [next.timing.prefillTokens, next.missed.slice(0, 2).sort()],
    [0, ['grape/one.ts', 'grape/two.ts']],
  );
});

test('what is pinned is read in any case, and with --wait none nothing else', async (t) => {
  const lab = new Lab(t, orchard);
  const client = await lab.client();
  const ask = (more: Partial<AskParams>) =>
    client.request(AskRequest, lab.params('What does applefive return?', { wait: 'none', ...more }));
  const first = await ask({});
  assert.ok(first.timing.prefillTokens < 6000, `the opening and one segment: ${first.timing.prefillTokens}`);
  const pinned = await ask({ pin: ['grape/two.ts'], drop: ['lemon/two.ts'] });
  assert.ok(pinned.gate?.segments.some(({ paths }) => paths[0] === 'grape/two.ts'));
});

test('an index is interrupted by a question, goes on after it, and counts all that it has read', async (t) => {
  const lab = new Lab(t, orchard);
  const backend = await lab.start({ FAKE_HOLD_ONCE: 'grapeone20()' });
  const [reader, asker] = [await lab.connect(backend), await lab.connect(backend)];
  const indexed = reader.request(IndexRequest, lab.params(''));
  await logged(backend, 'fake: holding');
  const asked = await asker.request(AskRequest, lab.params('What does appleone7 return?', { wait: 'none' }));
  assert.ok(asked.context.coverage > 0.5 && asked.context.coverage < 1);
  const { context, timing } = await indexed;
  assert.deepEqual([context.coverage, timing.prefillTokens], [1, context.tokens]);
});

test('a question that insists gets everything read', async (t) => {
  const lab = new Lab(t, orchard);
  const client = await lab.client();
  const result = await client.request(AskRequest, lab.params('What does appleone7 return?', { wait: 'all' }));
  assert.equal(result.context.coverage, 1);
  assert.deepEqual(result.missed, []);
});

test('an edit is read before the next answer, also while most of the repository is not', async (t) => {
  const lab = new Lab(t, orchard);
  const client = await lab.client({ FAKE_HOLD: 'damsontwo20()' });
  await client.request(AskRequest, lab.params('What does lemonthree7 return?'));
  writeFiles(lab.repository, { 'lemon/three.ts': `${code('quincethree', 3300)}` });
  lab.forgetPasses();
  await client.request(AskRequest, lab.params('What does appleone7 return?'));
  const texts = lab.passes().map(({ text }) => text);
  const first = texts.find((text) => text.startsWith('// file:') || text.startsWith('// files'));
  assert.match(first ?? '', /^\/\/ file: lemon\/three\.ts\n.*quincethree/);
});
