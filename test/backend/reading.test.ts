import assert from 'node:assert/strict';
import { rmSync, utimesSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import test from 'node:test';
import {
  AskRequest,
  ChangesRequest,
  IndexRequest,
  PlanRequest,
  type AskParams,
} from '../../backend/protocol.ts';
import { code, ended, Lab, logged, readHere, writeFiles } from './harness.ts';

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

test('what is pinned is read in any case, what is dropped is not looked at, and with --wait none nothing else', async (t) => {
  const lab = new Lab(t, orchard);
  const client = await lab.client();
  const ask = (more: Partial<AskParams>) =>
    client.request(AskRequest, lab.params('What does lemontwo7 return?', { wait: 'none', ...more }));
  const first = await ask({});
  assert.ok(first.timing.prefillTokens < 6000, `the opening and one segment: ${first.timing.prefillTokens}`);
  const pinned = await ask({ pin: ['grape/two.ts'], drop: ['lemon/two.ts'] });
  const seen = pinned.gate?.segments.flatMap(({ paths }) => paths) ?? [];
  assert.ok(seen.includes('grape/two.ts') && !seen.includes('lemon/two.ts'), seen.join());
  assert.ok(!pinned.missed.includes('lemon/two.ts'));
});

test('a file cannot be pinned and dropped at once, whatever has been read', async (t) => {
  const lab = new Lab(t, orchard);
  const client = await lab.client();
  const both = lab.params('Where?', { pin: ['lemon'], drop: ['lemon/two.ts'], wait: 'none' });
  const refused = { code: 'usage', message: /^lemon\/two\.ts .*pinned and dropped/ };
  await assert.rejects(client.request(AskRequest, both), refused);
  await client.request(IndexRequest, lab.params(''));
  await assert.rejects(client.request(AskRequest, both), refused);
});

test('a file of --focus is read early, however its path is written', async (t) => {
  for (const focus of ['./grape/two.ts', 'lemon/../grape/two.ts']) {
    const lab = new Lab(t, orchard);
    const client = await lab.client({ FAKE_HOLD: 'damsontwo20()' });
    const params = lab.params('Hello?', { wait: 'none', focus: [focus, 'not-there.png'] });
    await client.request(AskRequest, params);
    const [first] = lab.passes().filter(({ text }) => text.startsWith('// file:'));
    assert.match(first?.text ?? '', /^\/\/ file: grape\/two\.ts\n/);
  }
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
  assert.equal(result.timing.prefillTokens, result.context.tokens);
});

test('a question that insists does not wait for what another client has read', async (t) => {
  const [lab, other] = [new Lab(t, orchard), new Lab(t, { 'main.ts': code('main') })];
  const backend = await lab.start({ FAKE_HOLD: 'damsontwo20()' });
  const [reader, asker] = [await lab.connect(backend), await lab.connect(backend)];
  reader.request(IndexRequest, lab.params('')).catch(() => undefined);
  await logged(backend, 'fake: holding');
  const params = { ...other.params('What does main7 return?', { wait: 'all' }), model: lab.model };
  assert.equal((await asker.request(AskRequest, params)).context.coverage, 1);
});

test('what a question dropped is read too, once it is answered or when it insists', async (t) => {
  const lab = new Lab(t, orchard);
  const backend = await lab.start();
  const client = await lab.connect(backend);
  const ask = (more: Partial<AskParams>) => client.request(AskRequest, lab.params('grapetwo7?', more));
  assert.ok((await ask({ drop: ['lemon'] })).context.coverage < 1);
  await logged(backend, 'reading: all');
  assert.equal((await ask({ wait: 'none' })).context.coverage, 1);
  const fresh = new Lab(t, orchard);
  const insisting = fresh.params('grapetwo7?', { drop: ['lemon'], wait: 'all' });
  assert.equal((await (await fresh.client()).request(AskRequest, insisting)).context.coverage, 1);
});

test('the rest is read also when the next question fails or is cancelled', async (t) => {
  const lab = new Lab(t, orchard);
  const backend = await lab.start({ FAKE_HOLD_ONCE: 'damsontwo20()' });
  const client = await lab.connect(backend);
  await client.request(AskRequest, lab.params('What does lemonthree7 return?'));
  await logged(backend, 'fake: holding');
  const wrong = lab.params('Where?', { pin: ['none.ts'] });
  await assert.rejects(client.request(AskRequest, wrong), { code: 'usage' });
  await logged(backend, 'reading: all');

  const other = new Lab(t, orchard);
  const second = await other.start({ FAKE_HOLD_ONCE: 'Question: Hold on?' });
  const asker = await other.connect(second);
  const controller = new AbortController();
  const held = other.params('Hold on?', { wait: 'none' });
  const asked = asker.request(AskRequest, held, { signal: controller.signal });
  const cancelled = assert.rejects(asked, { code: 'cancelled' });
  await logged(second, 'fake: holding');
  controller.abort();
  await cancelled;
  await logged(second, 'reading: all');
});

test('of two questions at once only the last one has its rest read', async (t) => {
  const lab = new Lab(t, orchard);
  const backend = await lab.start();
  const log = text(backend.child.stderr!);
  const client = await lab.connect(backend);
  await Promise.all(
    ['lemonthree7?', 'grapetwo7?'].map((question) => client.request(AskRequest, lab.params(question))),
  );
  // Stands behind the rests.
  await client.request(IndexRequest, lab.params(''));
  backend.child.kill();
  await ended(backend);
  assert.equal((await log).match(/reading: all/g)?.length, 1);
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

test('an edit made while the rest was read is read before the next answer', async (t) => {
  const lab = new Lab(t, orchard);
  const backend = await lab.start({ FAKE_HOLD_ONCE: 'damsontwo20()' });
  const client = await lab.connect(backend);
  await client.request(AskRequest, lab.params('What does lemonthree7 return?'));
  await logged(backend, 'fake: holding');
  writeFiles(lab.repository, { 'lemon/three.ts': code('quincethree', 3300) });
  // As if a segment had been finished after the edit.
  for (const state of lab.stored('.json').filter((file) => file.includes('/snapshots/')))
    utimesSync(state, Date.now() / 1000 + 60, Date.now() / 1000 + 60);
  lab.forgetPasses();
  const words = ['apple', 'banana', 'cherry', 'damson', 'elder', 'figfig', 'grape'].flatMap((fruit) =>
    ['one7', 'two7', 'three7'].map((part) => `${fruit}${part}`),
  );
  const question = `What do ${words.join(', ')} return?`;
  await client.request(AskRequest, lab.params(question, { wait: 'none' }));
  await client.request(AskRequest, lab.params(question));
  const [first] = lab.passes().filter(({ text }) => text.startsWith('// file:'));
  assert.match(first?.text ?? '', /^\/\/ file: lemon\/three\.ts\n/);
});

test('a repository that is edited again and again is read as long as reading gets on', async (t) => {
  const lab = new Lab(t, orchard);
  const edits = new Map([
    ['banana/one.ts', 'elder/one.ts'],
    ['figfig/one.ts', 'grape/one.ts'],
    ['grape/three.ts', 'lemon/three.ts'],
  ]);
  const { report } = await readHere(t, lab, ({ phase, detail = '' }) => {
    const edited = phase === 'prefill' ? edits.get(detail) : undefined;
    if (edited) writeFiles(lab.repository, { [edited]: code('changed', 3300) });
    if (edited) edits.delete(detail);
  });
  assert.deepEqual([report.coverage, edits.size], [1, 0]);
});

test('a repository that never rests is refused in words', async (t) => {
  const lab = new Lab(t, orchard);
  let edits = 0;
  const reading = readHere(t, lab, ({ phase, total }) => {
    if (phase !== 'scan' || total === undefined) return;
    writeFiles(lab.repository, { 'lemon/three.ts': code(`changed${edits++}`, 3300) });
  });
  await assert.rejects(reading, { code: 'environment', message: /keeps changing/ });
});

test('what goes from the store is read again, also while it is read', async (t) => {
  const lab = new Lab(t, orchard);
  const client = await lab.client();
  const { context } = await client.request(IndexRequest, lab.params(''));
  const all = lab.stored('.seg').length;
  rmSync(lab.store, { recursive: true });
  const again = await client.request(IndexRequest, lab.params(''));
  assert.deepEqual([again.timing.prefillTokens, lab.stored('.seg').length], [context.tokens, all]);

  rmSync(lab.store, { recursive: true });
  let isThere = true;
  const here = await readHere(t, lab, ({ phase, detail }) => {
    if (phase === 'prefill' && detail === 'damson/two.ts' && isThere) {
      rmSync(lab.store, { recursive: true });
      isThere = false;
    }
  });
  assert.deepEqual([here.report.coverage, lab.stored('.seg').length], [1, all]);
});

test('what the rules of a repository pin is read and looked at in every question, unless one drops it', async (t) => {
  const lab = new Lab(t, {
    ...orchard,
    '.repowave.json': '{"pinned": ["/grape/two.ts", "/gone/"], "out": ["/elder/"]}',
  });
  const client = await lab.client();
  const ask = (more: Partial<AskParams> = {}) =>
    client.request(AskRequest, lab.params('What does lemontwo7 return?', { wait: 'none', ...more }));
  const seen = async (more?: Partial<AskParams>) =>
    (await ask(more)).gate?.segments.flatMap(({ paths }) => paths) ?? [];
  // With nothing else to look at there is nothing to choose.
  await client.request(AskRequest, lab.params('What does lemontwo7 return?', { drop: ['grape'] }));
  assert.ok((await seen()).includes('grape/two.ts'));
  assert.ok(!(await seen({ drop: ['grape/two.ts'] })).includes('grape/two.ts'));
  assert.equal((await ask()).context.files, 21);
});

test('a repository over its budget is answered from what fits, and says what does not', async (t) => {
  const lab = new Lab(t, { ...orchard, '.repowave.json': '{"tokens": 50000}' });
  const client = await lab.client();
  const { context } = await client.request(IndexRequest, lab.params(''));
  assert.equal(context.budget, 50_000);
  const { files, tokens } = context.overBudget!;
  assert.equal(files, 24 - context.files);
  assert.ok(Math.abs(tokens / files - 3_350) < 50, `${tokens} of ${files}`);
  assert.ok(context.excluded.some(({ reason }) => reason === 'beyond the limit of 50,000 tokens'));
  const plan = await client.request(PlanRequest, { root: lab.repository, model: lab.model });
  assert.equal(plan.files.filter(({ over }) => over).length, files);
  assert.ok(plan.tokens > 75_000 && plan.savings.length > 0);
  const patterns = plan.savings.map(({ pattern }) => pattern);
  writeFiles(lab.repository, { '.repowave.json': JSON.stringify({ tokens: 50_000, out: patterns }) });
  const after = await client.request(IndexRequest, lab.params(''));
  assert.equal(after.context.overBudget, undefined);
});

test('a plan counts with the model and reads nothing', async (t) => {
  const lab = new Lab(t, {
    'src/a.ts': code('apple', 500),
    'b.png': '\0',
    '.repowave.json': '{"pinned": ["a.ts"]}',
  });
  const client = await lab.client();
  const plan = await client.request(PlanRequest, { root: lab.repository, model: lab.model });
  const tokens = code('apple', 500).length + '// file: src/a.ts\n\n\n'.length;
  assert.deepEqual(plan.files, [{ file: 'src/a.ts', tokens, pinned: true }]);
  assert.deepEqual([plan.tokens, plan.budget, plan.counted, plan.savings], [tokens, 1_000_000, true, []]);
  assert.deepEqual(
    plan.excluded.map(({ file }) => file),
    ['.repowave.json', 'b.png'],
  );
  assert.equal(lab.stored('.kv').length + lab.stored('.seg').length, 0);
  const absent = await client.request(PlanRequest, { root: lab.repository, model: 'smollm2-135m' });
  assert.deepEqual(
    [absent.counted, absent.files[0]?.tokens],
    [false, Math.ceil(code('apple', 500).length / 3.6)],
  );
});

test('changes are told against what was read last, and a file that is read alone is not one any more', async (t) => {
  const lab = new Lab(t, orchard);
  const client = await lab.client();
  const params = { root: lab.repository, model: lab.model };
  const changes = (...unsaved: string[]) => client.request(ChangesRequest, { ...params, unsaved });
  assert.deepEqual(await changes('apple/one.ts'), { changed: [], unsaved: [] });
  const before = await client.request(IndexRequest, params);
  writeFiles(lab.repository, {
    'apple/one.ts': code('peach'),
    'apple/two.ts': code('plum'),
    'new.ts': code('new'),
  });
  assert.deepEqual(await changes('apple/one.ts', 'build.log'), {
    changed: ['apple/one.ts', 'apple/two.ts', 'new.ts'],
    unsaved: ['apple/one.ts'],
  });
  const alone = await client.request(IndexRequest, { ...params, only: ['apple/one.ts', 'gone.ts'] });
  assert.ok(alone.timing.prefillTokens > 2_900 && alone.timing.prefillTokens < 3_300, 'one segment');
  assert.ok(alone.context.coverage < 1);
  assert.notEqual(alone.context.state, before.context.state);
  assert.deepEqual((await changes()).changed, ['apple/two.ts', 'new.ts']);
  await client.request(IndexRequest, params);
  assert.deepEqual((await changes()).changed, []);
});
