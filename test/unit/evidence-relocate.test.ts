import assert from 'node:assert/strict';
import { test } from 'node:test';
import { relocate } from '../../extension/evidence/relocate.ts';

const before = ['a', 'b', 'c', 'd', 'e', 'f'];
/** Lines 3 and 4: `c` and `d`. */
const cited = { startLine: 3, endLine: 4 };
const at = (after: string[], lines = cited) => relocate(before, after, lines);

test('lines of a file that has not changed stay where they are', () => {
  assert.deepEqual(at(before), { startLine: 3, endLine: 4, edited: false });
});

test('lines move with what is inserted and removed above them, and not with what is below', () => {
  assert.deepEqual(at(['new', 'new', ...before]), { startLine: 5, endLine: 6, edited: false });
  assert.deepEqual(at(['b', 'c', 'd', 'e', 'f']), { startLine: 2, endLine: 3, edited: false });
  assert.deepEqual(at(['a', 'b', 'c', 'd', 'new', 'f']), { startLine: 3, endLine: 4, edited: false });
});

test('lines between two edits are found when they are there once', () => {
  assert.deepEqual(at(['A', 'new', 'b', 'c', 'd', 'e', 'F']), { startLine: 4, endLine: 5, edited: false });
});

test('lines that stand there twice between two edits count as edited, since either may be meant', () => {
  assert.equal(at(['A', 'c', 'd', 'x', 'c', 'd', 'F'])?.edited, true);
});

test('lines that were edited themselves are what has become of them', () => {
  assert.deepEqual(at(['a', 'b', 'C', 'd', 'e', 'f']), { startLine: 3, endLine: 4, edited: true });
  assert.deepEqual(at(['a', 'b', 'c', 'x', 'y', 'd', 'e', 'f']), { startLine: 3, endLine: 6, edited: true });
});

test('edited lines between other edits are marked where they were, and not all that is between', () => {
  assert.deepEqual(at(['A', 'b', 'C', 'd', 'e', 'F']), { startLine: 3, endLine: 4, edited: true });
});

test('nothing is left of lines that were removed, or that the file never had', () => {
  assert.equal(at(['a', 'b', 'e', 'f']), undefined);
  assert.equal(at(before, { startLine: 7, endLine: 8 }), undefined);
});

test('undoing an edit makes the lines again those that were read', () => {
  assert.equal(at(['a', 'b', 'C', 'd', 'e', 'f'])?.edited, true);
  assert.equal(at([...before])?.edited, false);
});
