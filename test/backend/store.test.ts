import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  appendFileSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import test from 'node:test';
import type { Client } from '../../backend/client.ts';
import { IndexRequest, PruneRequest, StoreRequest, VerifyRequest } from '../../backend/protocol.ts';
import { code, Lab, readHere, writeFiles } from './harness.ts';

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

test('K/V in eight bits and as it is stand side by side: each is read once, and none is taken for the other', async (t) => {
  const lab = new Lab(t, several);
  const client = await lab.client();
  const plain = await index(lab, client);
  const packed = await index(lab, client, { kv: 'q8' });
  const { tokens } = packed.context;
  assert.deepEqual([plain.timing.prefillTokens, packed.timing.prefillTokens], [tokens, tokens]);
  assert.deepEqual([plain.memory.diskBytes, packed.memory.diskBytes], [4 * tokens, 2 * tokens]);
  for (const [kv, diskBytes] of [
    ['f16', 4 * tokens],
    ['q8', 2 * tokens],
    [undefined, 4 * tokens],
  ] as const) {
    const again = await index(lab, client, { kv });
    assert.deepEqual([again.timing.prefillTokens, again.memory.diskBytes], [0, diskBytes]);
  }
  const { repositories } = await client.request0(StoreRequest);
  const names = repositories.map(({ model, bytes, storedTokens }) => [model, bytes > 0, storedTokens]);
  assert.deepEqual(names, [
    ['tiny', true, tokens],
    ['tiny q8', true, tokens],
  ]);
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

test('what another process looks at is not cleared away for a quota, and is read again once it was', async (t) => {
  const [lab, other] = [new Lab(t, several), new Lab(t, { 'lib/elder.ts': code('elder', 9000) })];
  const shared = { REPOWAVE_STORE: lab.store };
  const [first, second] = [await lab.client(), await other.client(shared)];
  const { context } = await index(lab, first);
  const held = lab.stored('.seg');
  const { bytes } = await first.request0(StoreRequest);
  const within = { ...other.params(''), model: lab.model, diskBytes: bytes + 46_000 };
  const inUse = { code: 'noSpace', message: /in use/ };
  await assert.rejects(second.request(IndexRequest, within), inUse);
  assert.deepEqual(lab.stored('.seg'), held);

  for (const file of states(lab)) utimesSync(file, 1e9, 1e9);
  await second.request(IndexRequest, within);
  const gone = held.filter((file) => !lab.stored('.seg').includes(file));
  assert.ok(gone.length > 0);
  const { timing, context: again } = await index(lab, first);
  assert.deepEqual([again.coverage, again.tokens], [1, context.tokens]);
  assert.ok(timing.prefillTokens > 0 && timing.prefillTokens < context.tokens);
});

test('a disk that fills up while it is read on is told, keeps what is finished, and goes on with it', async (t) => {
  const lab = new Lab(t, several);
  mkdirSync(lab.store);
  if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=80m', 'tmpfs', lab.store]).status !== 0) {
    return t.skip('only root can mount a small disk');
  }
  try {
    const filler = `${lab.store}/filler`;
    const fill = () => {
      const { bavail, bsize } = statfsSync(lab.store);
      writeFileSync(filler, Buffer.alloc(bavail * bsize));
    };
    const reading = readHere(t, lab, ({ phase, detail }) => {
      if (phase === 'prefill' && detail === 'src/cherry.ts') fill();
    });
    await assert.rejects(reading, { code: 'ENOSPC' });
    const kept = lab.stored('.seg');
    assert.equal(kept.length, 4, 'the frame, the list of files, and the two before');
    rmSync(filler);
    const client = await lab.client();
    const { timing, context } = await index(lab, client);
    assert.equal(context.coverage, 1);
    assert.ok(timing.prefillTokens < context.tokens / 2);
    assert.deepEqual((await client.request(VerifyRequest, {})).damaged, []);
  } finally {
    spawnSync('umount', ['-l', lab.store]);
  }
});
