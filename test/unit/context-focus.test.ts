import assert from 'node:assert/strict';
import test from 'node:test';
import { FocusIndex, terms } from '../../backend/context/focus.ts';

const documents = [
  { id: 0, path: '', text: 'src/scan.ts\nsrc/pack.ts' },
  { id: 1, path: 'src/scan.ts', text: 'export function isFileIgnored(path) { return ignore(path); }' },
  { id: 2, path: 'src/pack.ts', text: 'export function packSegments(files) { return files; }' },
  ...[3, 4, 5, 6].map((id) => ({ id, path: `src/x${id}.ts`, text: 'export function other(file) {}' })),
];

test('identifiers are found whole and by their parts', () => {
  assert.deepEqual(terms('isFileIgnored'), ['isfileignored', 'is', 'file', 'ignored']);
  assert.deepEqual(terms('HTTPServer read_file x2 word'), [
    ...['httpserver', 'http', 'server', 'read_file', 'read', 'file', 'x2', 'x', '2', 'word'],
  ]);
});

test('the segment with the words of the question comes first', () => {
  const index = FocusIndex.build(documents);
  assert.equal(index.rank('Which function decides whether a file is ignored?')[0], 1);
  assert.equal(index.rank('What does packSegments return?')[0], 2);
  assert.equal(index.rank('Explain scan.ts')[0], 1);
});

test('no more than four segments keep their weight, and none without a shared word', () => {
  const index = FocusIndex.build(documents);
  assert.equal(index.rank('export function').length, 4);
  assert.deepEqual(index.rank('zebra'), []);
});

test('an index that was stored ranks as before', () => {
  const index = FocusIndex.build(documents);
  const again = FocusIndex.parse(index.serialize());
  assert.deepEqual(again.rank('packSegments of scan'), index.rank('packSegments of scan'));
});
