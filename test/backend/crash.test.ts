/** kill -9 at random moments: nothing torn is used, and nothing that was finished is lost. */
import assert from 'node:assert/strict';
import { readFileSync, rmSync, statSync, utimesSync, watch } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { modelsDirectory } from '../../backend/models/download.ts';
import { AskRequest, StoreRequest, VerifyRequest } from '../../backend/protocol.ts';
import { seeded } from '../unit/repo-helpers.ts';
import { openSegment } from './fake-addon.ts';
import { code, ended, Lab, writeFiles } from './harness.ts';

/** How often it is killed; REPOWAVE_KILLS=50 for a thorough run. */
const kills = Number(process.env.REPOWAVE_KILLS ?? 6);

const fruits = ['banana', 'cherry', 'damson'];
const treeOf = (edit: number): Record<string, string> => ({
  'src/apple.ts': code(`apple${edit}`),
  ...Object.fromEntries(fruits.map((fruit) => [`src/${fruit}.ts`, code(fruit)])),
});

const states = (lab: Lab) => lab.stored('.json').filter((file) => file.includes('/snapshots/'));

const newestFirst = (files: string[]) => files.sort((a, b) => statSync(b).mtimeMs - statSync(a).mtimeMs);

/** Files of the segments that the tree as it is now has, as far as it is known. */
function needed(lab: Lab): Set<string> {
  const [newest] = newestFirst(states(lab));
  if (newest === undefined) return new Set();
  const [, manifest = ''] = readFileSync(newest, 'utf8').split('\n');
  const { frame, segments } = JSON.parse(manifest) as {
    frame: { hash: string };
    segments: { hash: string }[];
  };
  return new Set([frame, ...segments].map(({ hash }) => `${hash}.seg`));
}

test(`killed ${kills} times while it reads, saves and clears away, it loses nothing that it needs and uses nothing torn`, async (t) => {
  const lab = new Lab(t, treeOf(0));
  await lab.ask(await lab.client());
  // Room for one tree and what an edit is reckoned to take: what earlier edits left has to go again and again.
  const { bytes } = await (await lab.client()).request0(StoreRequest);
  const diskBytes = bytes + 30_000;
  const random = seeded(7);
  const moments = new Set<number>();
  let cleared = 0;
  for (let killed = 0, edit = 1; killed < kills; edit++) {
    writeFiles(lab.repository, treeOf(edit));
    const [newest, ...older] = newestFirst(states(lab));
    for (const file of older) rmSync(file);
    // What the killed ones were writing is old enough to be swept away.
    const leftovers = lab.stored('').filter((file) => file.includes('.tmp-'));
    for (const file of [newest ?? [], ...leftovers].flat()) utimesSync(file, 1e9, 1e9);
    const before = lab.stored('.seg');
    const moment = 1 + random(36);
    const backend = await lab.start({ FAKE_KILL: String(moment) });
    const client = await lab.connect(backend);
    const outcome = await client.request(AskRequest, lab.params('Where?', { diskBytes })).then(
      () => 'answered',
      (error: { code: string }) => error.code,
    );
    if (outcome !== 'answered') {
      assert.equal(outcome, 'backendUnavailable');
      await ended(backend);
      moments.add(moment);
      killed++;
    }
    const after = lab.stored('.seg');
    cleared += before.filter((file) => !after.includes(file)).length;
    const names = needed(lab);
    const lost = before.filter((file) => names.has(path.basename(file)) && !after.includes(file));
    assert.deepEqual(lost, [], `after moment ${moment}`);
    for (const file of after) openSegment(file);
  }
  t.diagnostic(`moments ${[...moments].sort((a, b) => a - b).join(' ')}; ${cleared} segments cleared away`);
  assert.ok(cleared > 0);

  const client = await lab.client();
  assert.deepEqual((await client.request(VerifyRequest, { deep: true })).damaged, []);
  const result = await lab.ask(client);
  const edits = Number(/apple(\d+?)0\(/.exec(readFileSync(`${lab.repository}/src/apple.ts`, 'utf8'))?.[1]);
  const calm = new Lab(t, treeOf(edits));
  const expected = await calm.ask(await calm.client());
  assert.equal(result.answer, expected.answer);
  assert.deepEqual(result.citations, expected.citations);
  assert.deepEqual(result.context, expected.context);
  assert.equal((await lab.ask(await lab.client())).timing.prefillTokens, 0);
});

const real = {
  REPOWAVE_NATIVE: fileURLToPath(new URL('../../dist/native/repowave.node', import.meta.url)),
  REPOWAVE_MODELS: modelsDirectory(),
};
/** Long enough to be segments of their own. */
const fileOf = (word: string) => code(word, 4_500);

test('the real engine, killed when it has touched the store so and so often, goes on with what it has finished', async (t) => {
  const lab = new Lab(t, Object.fromEntries(fruits.map((fruit) => [`src/${fruit}.ts`, fileOf(fruit)])));
  const params = lab.params('Where is banana7?', { model: 'smollm2-135m' });
  const random = seeded(11);
  let stored: string[] = [];
  for (let killed = 0; killed < Math.max(2, kills / 8); killed++) {
    const backend = await lab.start(real);
    const client = await lab.connect(backend);
    const { damaged } = await client.request(VerifyRequest, { deep: true });
    assert.deepEqual(damaged, []);
    let left = 1 + random(12);
    const watcher = watch(path.dirname(lab.store), { recursive: true }, (_event, name) => {
      if (name?.startsWith('store') && --left === 0) backend.child.kill('SIGKILL');
    });
    await client.request(AskRequest, params).catch((error: { code: string }) => {
      assert.equal(error.code, 'backendUnavailable');
    });
    watcher.close();
    if (backend.child.signalCode === null) backend.child.kill('SIGKILL');
    await ended(backend);
    const after = lab.stored('.seg');
    for (const file of stored) assert.ok(after.includes(file), `${file} is lost`);
    stored = after;
  }
  const client = await lab.client(real);
  const result = await client.request(AskRequest, params);
  const all = lab.stored('.seg').length;
  assert.ok(all === 0 || result.context.coverage === 1);
  assert.deepEqual((await client.request(VerifyRequest, { deep: true })).damaged, []);
  const again = await (await lab.client(real)).request(AskRequest, params);
  assert.deepEqual([again.timing.prefillTokens, again.answer], [0, result.answer]);
});
