import assert from 'node:assert/strict';
import { appendFileSync, readFileSync, rmSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import test from 'node:test';
import type { Client } from '../../backend/client.ts';
import {
  AskRequest,
  IndexRequest,
  PruneRequest,
  StoreRequest,
  VerifyRequest,
} from '../../backend/protocol.ts';
import { seeded } from '../unit/repo-helpers.ts';
import { code, ended, Lab, writeFiles } from './harness.ts';

const several = {
  'src/apple.ts': code('apple'),
  'src/banana.ts': code('banana'),
  'src/cherry.ts': code('cherry'),
  'src/date.ts': code('date'),
};

const index = (lab: Lab, client: Client, more: object = {}) =>
  client.request(IndexRequest, { ...lab.params(''), ...more });
const states = (lab: Lab) => lab.stored('.json').filter((file) => file.includes('/snapshots/'));

test('a switch to another branch and back reads only what is new, once', async (t) => {
  const lab = new Lab(t, several);
  const client = await lab.client();
  await index(lab, client);
  writeFiles(lab.repository, { 'src/apple.ts': code('apricot') });
  rmSync(`${lab.repository}/src/banana.ts`);
  const branch = await index(lab, client);
  const list = '// files of the repository\nsrc/apple.ts\nsrc/cherry.ts\nsrc/date.ts\n\n';
  const fresh = `// file: src/apple.ts\n${code('apricot')}\n\n`;
  assert.equal(branch.timing.prefillTokens, list.length + fresh.length);
  writeFiles(lab.repository, several);
  assert.equal((await index(lab, client)).timing.prefillTokens, 0);
  const [entry] = (await client.request0(StoreRequest)).repositories;
  assert.equal(entry?.states, 2);
});

test('a renamed file is read under its new name, and found again when it is moved back', async (t) => {
  const lab = new Lab(t, several);
  const client = await lab.client();
  await index(lab, client);
  rmSync(`${lab.repository}/src/apple.ts`);
  writeFiles(lab.repository, { 'src/apricot.ts': several['src/apple.ts'] });
  lab.forgetPasses();
  await index(lab, client);
  const texts = lab.passes().map(({ text }) => text);
  assert.equal(texts.filter((text) => text.startsWith('// file:')).length, 1);
  assert.ok(texts.some((text) => text.startsWith('// file: src/apricot.ts\n')));
  rmSync(`${lab.repository}/src/apricot.ts`);
  writeFiles(lab.repository, { 'src/apple.ts': several['src/apple.ts'] });
  assert.equal((await index(lab, client)).timing.prefillTokens, 0);
});

test('within --disk the least recently used goes, and a limit that is too small is said before anything is read', async (t) => {
  const lab = new Lab(t, several);
  const client = await lab.client();
  await index(lab, client);
  const { bytes } = await client.request0(StoreRequest);
  for (const file of states(lab)) utimesSync(file, 1e9, 1e9);
  const before = lab.stored('.seg');

  rmSync(lab.repository, { recursive: true });
  writeFiles(lab.repository, { 'lib/elder.ts': code('elder'), 'lib/fig.ts': code('fig', 9000) });
  await assert.rejects(index(lab, client, { diskBytes: 1000 }), { code: 'noSpace', message: /--disk/ });
  assert.deepEqual(lab.stored('.seg'), before);

  const { context } = await index(lab, client, { diskBytes: bytes + 62_000 });
  const after = await client.request0(StoreRequest);
  assert.ok(after.bytes <= bytes + 62_000, `${after.bytes} bytes of ${bytes + 62_000}`);
  assert.ok(before.some((file) => !lab.stored('.seg').includes(file)));
  assert.equal(after.repositories[0]?.storedTokens, context.tokens);
});

test('a segment that another process clears away is read again', async (t) => {
  const lab = new Lab(t, several);
  await index(lab, await lab.client());
  const other = await lab.client();
  const removed = lab.stored('.seg').slice(0, 2);
  for (const file of removed) rmSync(file);
  await index(lab, other);
  for (const file of removed) assert.ok(lab.stored('.seg').includes(file));
});

test('verify names what is damaged, prune clears away what nobody needs', async (t) => {
  const lab = new Lab(t, several);
  const client = await lab.client();
  await index(lab, client);
  const [torn = '', ...whole] = lab.stored('.seg');
  const orphan = `${whole[0]?.slice(0, -10)}0123456789.seg`;
  writeFileSync(orphan, readFileSync(whole[0] ?? ''));
  utimesSync(orphan, 1e9, 1e9);
  truncateSync(torn, 10);

  const found = await client.request(VerifyRequest, { deep: true });
  assert.equal(found.segments, whole.length + 2);
  assert.deepEqual(
    found.damaged.map(({ file }) => file),
    [torn],
  );
  const dry = await client.request(PruneRequest, { dryRun: true });
  assert.equal(dry.files, 1);
  assert.equal((await client.request0(StoreRequest)).unneededBytes, dry.bytes);
  assert.deepEqual(await client.request(PruneRequest, {}), dry);
  assert.deepEqual(lab.stored('.seg').sort(), [torn, ...whole].sort());
  const inUse = { code: 'noSpace', message: /were in use in the last quarter/ };
  await assert.rejects(client.request(PruneRequest, { diskBytes: dry.leftBytes - 1 }), inUse);

  rmSync(lab.repository, { recursive: true });
  for (const file of lab.stored('')) utimesSync(file, 1e9, 1e9);
  await client.request(PruneRequest, {});
  assert.equal((await client.request0(StoreRequest)).bytes, 0);
});

test('prune says what keeps the store from getting smaller when nothing was in use, and clears away no others', async (t) => {
  const lab = new Lab(t, several);
  const client = await lab.client();
  await index(lab, client);
  writeFiles(lab.store, { 'notes/mine.json': 'mine' });
  for (const file of lab.stored('')) utimesSync(file, 1e9, 1e9);
  const before = lab.stored('');
  const tooSmall = {
    code: 'noSpace',
    message: /tell which files your repositories have: try a larger size\.$/,
  };
  await assert.rejects(client.request(PruneRequest, { diskBytes: 0 }), tooSmall);
  assert.deepEqual(lab.stored(''), before);
  rmSync(lab.repository, { recursive: true });
  await client.request(PruneRequest, { diskBytes: 0 });
  assert.equal(readFileSync(`${lab.store}/notes/mine.json`, 'utf8'), 'mine');
  assert.equal((await client.request0(StoreRequest)).bytes, 0);
});

test('a wrong byte behind the beginning is found by a deep verify alone', async (t) => {
  const lab = new Lab(t, several);
  const client = await lab.client();
  await index(lab, client);
  const [file = ''] = lab.stored('.seg');
  appendFileSync(file, ' ');
  assert.deepEqual((await client.request(VerifyRequest, {})).damaged, []);
  const { damaged } = await client.request(VerifyRequest, { deep: true });
  assert.deepEqual(
    damaged.map((found) => found.file),
    [file],
  );
});

test('verify says so when the engine is missing', async (t) => {
  const lab = new Lab(t, several);
  const client = await lab.client({ REPOWAVE_NATIVE: `${lab.root}/absent.node` });
  const missing = { code: 'environment', message: /npm run build/ };
  await assert.rejects(client.request(VerifyRequest, {}), missing);
});

/** These seeds kill it before a renaming, in the middle of writing a segment, and in passes. */
for (const seed of [20, 33]) {
  test(`killed at random moments (${seed}), it loses no finished segment and uses none that is torn`, async (t) => {
    const calm = new Lab(t, several);
    const expected = await calm.ask(await calm.client());
    const lab = new Lab(t, several);
    const random = seeded(seed);
    let stored: string[] = [];
    for (let kill = 0; kill < 3; kill++) {
      const backend = await lab.start({ FAKE_KILL: String(1 + random(14)) });
      const client = await lab.connect(backend);
      assert.deepEqual((await client.request(VerifyRequest, {})).damaged, [], `round ${kill}`);
      const asked = client.request(AskRequest, lab.params('Where?'));
      await assert.rejects(asked, { code: 'backendUnavailable' });
      await ended(backend);
      const left = lab.stored('.seg');
      for (const file of stored) assert.ok(left.includes(file), `round ${kill}`);
      stored = left;
    }
    const client = await lab.client();
    const verified = await client.request(VerifyRequest, {});
    assert.deepEqual([verified.segments, verified.damaged], [stored.length, []]);
    const result = await lab.ask(client);
    assert.equal(result.answer, expected.answer);
    assert.deepEqual(result.citations, expected.citations);
    assert.deepEqual(result.context, expected.context);
    assert.equal((await lab.ask(await lab.client())).timing.prefillTokens, 0);
  });
}
