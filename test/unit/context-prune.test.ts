import assert from 'node:assert/strict';
import test from 'node:test';
import type { Inventory } from '../../backend/context/inventory.ts';
import { evictable, unneeded } from '../../backend/context/prune.ts';
import { repositoriesIn } from '../../backend/context/repositories.ts';

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
  outdated: [],
  abandoned: [],
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

test('a repository is listed once, with the tokens of its latest state and the segments of all', () => {
  const [a, b, ...others] = repositoriesIn(inventory);
  assert.deepEqual(others, []);
  assert.equal(b?.root, '/b');
  assert.deepEqual(a, {
    ...{ root: '/a', model: 'm', tokens: 19, storedTokens: 19, states: 2, segments: 4, bytes: 40 },
    usedMs: nowMs - 2 * hour,
  });
});
