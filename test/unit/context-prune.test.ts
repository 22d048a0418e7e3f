import assert from 'node:assert/strict';
import fs, { mkdirSync, symlinkSync, utimesSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { join, relative } from 'node:path';
import { Readable } from 'node:stream';
import test from 'node:test';
import { takeInventory, type Inventory } from '../../backend/context/inventory.ts';
import { evictable, occupied, unneeded } from '../../backend/context/prune.ts';
import { repositoriesIn } from '../../backend/context/repositories.ts';
import { tree } from './repo-helpers.ts';

const hour = 3_600_000;
const nowMs = 1000 * hour;

const segment = (hash: string, hoursAgo: number) => ({
  ...{ hash, file: hash, bytes: 10 },
  usedMs: nowMs - hoursAgo * hour,
});
const state = (root: string, hoursAgo: number, hashes: string[]) => ({
  ...{ file: `${root}/${hoursAgo}`, bytes: 1, usedMs: nowMs - hoursAgo * hour },
  manifest: {
    ...{ root, model: 'm', frame: { hash: `${root} frame`, tokens: 5 } },
    segments: hashes.map((hash) => ({ hash, tokens: 7 })),
  },
});
const inventory: Inventory = {
  ...{ directory: '/s', bytes: 100 },
  segments: [
    ...[segment('/a frame', 500), segment('/b frame', 500)],
    ...[segment('shared', 500), segment('main', 500), segment('branch', 500), segment('other', 500)],
    ...[segment('orphan', 400), segment('fresh orphan', 0.1)],
  ],
  states: [
    ...[state('/a', 2, ['shared', 'main']), state('/a', 30, ['shared', 'branch', 'gone'])],
    state('/b', 300, ['other']),
  ],
  ...{ notes: [], outdated: [], abandoned: [] },
};
const names = (files: { file: string }[] | undefined) => files?.map(({ file }) => file);

test('what was not in use for longest goes first, by the snapshots that name it', () => {
  assert.deepEqual(names(evictable(inventory, 45, { nowMs })), [
    ...['orphan', '/b frame', 'other', 'branch'],
    '/a frame',
  ]);
  assert.deepEqual(names(evictable(inventory, 10, { nowMs })), ['orphan']);
  assert.deepEqual(names(evictable(inventory, 0, { nowMs })), []);
});

test('what is in use stays, however little room there is', () => {
  const keep = new Set(['shared', 'main', '/a frame']);
  assert.deepEqual(names(evictable(inventory, 40, { nowMs, keep })), [
    'orphan',
    '/b frame',
    'other',
    'branch',
  ]);
  assert.equal(evictable(inventory, 51, { nowMs, keep }), undefined);
});

test('the latest state that was just in use stays, the one before it may go', () => {
  const states = [state('/b', 0.1, ['other', 'shared']), state('/b', 0.2, ['shared', 'main'])];
  assert.deepEqual(names(evictable({ ...inventory, states }, 50, { nowMs })), [
    ...['/a frame', 'branch', 'orphan', 'main', 'fresh orphan'],
  ]);
  assert.equal(evictable({ ...inventory, states }, 51, { nowMs }), undefined);
});

test('nobody needs what no snapshot names, and snapshots of folders that are gone', () => {
  assert.deepEqual(names(unneeded(inventory, { isGone: () => false, nowMs })), ['orphan']);
  assert.deepEqual(names(unneeded(inventory, { isGone: (root) => root === '/b', nowMs })), [
    ...['/b/300', '/b frame', 'other', 'orphan'],
  ]);
});

test('what is noted about files goes when no snapshot is of them any more', () => {
  const note = (selection: string, hoursAgo: number) => ({ ...segment(selection, hoursAgo), selection });
  const notes = [note('a', 500), note('b', 500), note('c', 500), note('d', 0.1)];
  const gone = (isGone: (root: string) => boolean) =>
    names(unneeded({ ...inventory, segments: [], notes }, { isGone, nowMs }));
  assert.deepEqual(
    gone(() => false),
    ['c'],
  );
  assert.deepEqual(
    gone((root) => root === '/b'),
    ['/b/300', 'b', 'c'],
  );
});

test('what cannot be cleared away is told from what may be later', () => {
  assert.deepEqual(occupied(inventory, nowMs), { inUse: 0, fixed: 20 });
  const states = [state('/b', 0.1, ['other', 'shared'])];
  assert.deepEqual(occupied({ ...inventory, states }, nowMs), { inUse: 30, fixed: 20 });
});

const hash = (digit: string) => digit.repeat(64);
const model = 'ab'.repeat(8);
const manifest = JSON.stringify({
  ...{ root: '/r', model: 'm', frame: { hash: hash('f'), tokens: 1 } },
  segments: Array.from({ length: 3000 }, () => ({ hash: hash('a'), tokens: 1 })),
});
const statePath = `${model}/snapshots/${hash('5')}/${hash('6')}.json`;
const stored = {
  [`${model}/segments/aa/${hash('a')}.seg`]: 'seg',
  [statePath]: `seal\n${manifest}\n{}`,
  [`${model}/asked/${hash('5')}`]: 'seal\n1',
  [`scans/${hash('5')}.json`]: 'scan',
};

test('every file of the store is known for what it is, earlier layouts as outdated', async (t) => {
  const outdated = {
    [`${model}/frames/${hash('1')}.json`]: 'frame',
    [`${model}/snapshots/${hash('1')}.json`]: 'flat',
    [`${model}/snapshots/${hash('1')}/${hash('2')}.json`]: 'seal\n{}\n{}',
  };
  const writing = `${model}/segments/aa/${hash('b')}.seg.tmp-1`;
  const abandoned = `scans/${hash('5')}.json.tmp-2`;
  const root = tree(t, { ...stored, ...outdated, [writing]: '1', [abandoned]: '22' });
  utimesSync(join(root, abandoned), 1e9, 1e9);
  const found = await takeInventory(root);
  const paths = (files: { file: string }[]) => files.map(({ file }) => relative(root, file)).sort();
  assert.deepEqual(paths([...found.segments, ...found.states, ...found.notes]), Object.keys(stored).sort());
  assert.deepEqual(paths(found.outdated), Object.keys(outdated).sort());
  assert.deepEqual(paths(found.abandoned), [abandoned]);
  assert.equal(found.states[0]?.manifest.segments.length, 3000);
  assert.ok(found.notes.every(({ selection }) => selection === hash('5')));
  const texts = [...Object.values({ ...stored, ...outdated }), '1', '22'];
  assert.equal(found.bytes, texts.join('').length);
});

test('files beside the folders of the store are not looked at, nor what a link leads to', async (t) => {
  const root = tree(t, {
    'notes.txt': 'x',
    'photos/a.seg': 'x',
    'scans/letter.json': 'x',
    'scans/a/b.tmp-1': 'x',
  });
  mkdirSync(join(root, model));
  symlinkSync(join(root, 'photos'), join(root, model, 'link'));
  symlinkSync(join(root, 'notes.txt'), join(root, model, 'other'));
  const { bytes, segments, outdated, abandoned } = await takeInventory(root);
  assert.deepEqual([bytes, segments, outdated, abandoned], [0, [], [], []]);
});

test('a snapshot that cannot be read is an error, and not one that nobody needs', async (t) => {
  const root = tree(t, stored);
  const failing = function* () {
    throw Object.assign(new Error('EMFILE: too many open files'), { code: 'EMFILE' });
  };
  const mock = t.mock.method(fs, 'createReadStream', () => Readable.from(failing()));
  syncBuiltinESMExports();
  t.after(() => {
    mock.mock.restore();
    syncBuiltinESMExports();
  });
  await assert.rejects(takeInventory(root), { code: 'environment', message: /EMFILE/ });
  assert.equal(mock.mock.callCount(), 1);
});

test('an absent store is empty, one that cannot be read is an error', async (t) => {
  const root = tree(t, { ...stored, file: 'x' });
  assert.equal((await takeInventory(join(root, 'absent'))).bytes, 0);
  await assert.rejects(takeInventory(join(root, 'file')), { name: 'UserError', code: 'environment' });
});

test('a repository is listed once, with the tokens of its latest state and the segments of all', () => {
  const [a, b, ...others] = repositoriesIn(inventory);
  assert.deepEqual(others, []);
  assert.equal(b?.root, '/b');
  assert.deepEqual(a, {
    ...{ root: '/a', model: 'm', tokens: 19, storedTokens: 19, states: 2, segments: 4, bytes: 40 },
    usedMs: nowMs - 2 * hour,
  });
});
