import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Seen } from '../../backend/context/seen.ts';

const selection = { root: '/r', include: [], exclude: [] };
const files = (state: Record<string, string>) =>
  Object.entries(state).map(([path, hash]) => ({ path, hash }));
const read = files({ 'a.ts': '1', 'b.ts': '1', 'c.ts': '1' });
const now = files({ 'a.ts': '1', 'b.ts': '2', 'd.ts': '1' });

test('files that are new, gone or different have changed, once something was read', () => {
  const seen = new Seen();
  assert.deepEqual(seen.changes(selection, now), []);
  seen.note(selection, read);
  assert.deepEqual(seen.changes(selection, now), ['b.ts', 'c.ts', 'd.ts']);
  assert.deepEqual(seen.changes({ ...selection, exclude: ['x'] }, now), []);
  seen.note(selection, now);
  assert.deepEqual(seen.changes(selection, now), []);
});

test('reading some files again leaves the others changed', () => {
  const seen = new Seen();
  seen.note(selection, read);
  seen.note(selection, now, ['b.ts', 'c.ts']);
  assert.deepEqual(seen.changes(selection, now), ['d.ts']);
});

test('of unsaved files only those count that are in context, or would be', () => {
  const seen = new Seen();
  assert.deepEqual(seen.held(selection, now, ['a.ts']), []);
  seen.note(selection, read);
  assert.deepEqual(seen.held(selection, now, ['a.ts', 'c.ts', 'd.ts', 'build.log']), [
    'a.ts',
    'c.ts',
    'd.ts',
  ]);
});
