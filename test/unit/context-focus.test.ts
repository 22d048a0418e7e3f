import assert from 'node:assert/strict';
import test from 'node:test';
import { FocusIndex, terms } from '../../backend/context/focus.ts';

const documents = [
  { segment: 1, path: 'src/scan.ts', text: 'export const isFileIgnored = (path) => ignore(path);' },
  { segment: 2, path: 'src/pack.ts', text: 'export const packSegments = (pieces) => pieces;' },
  ...[3, 4, 5, 6, 7].map((segment) => ({
    segment,
    path: `src/x${segment}.ts`,
    text: 'export const other = 1;',
  })),
  { segment: 7, path: 'src/long.ts', text: 'an unusual zebra' },
  { segment: 8, path: 'src/long.ts', text: 'zebra crossing' },
];

test('identifiers are found whole and by their parts', () => {
  assert.deepEqual(terms('isFileIgnored'), ['isfileignored', 'is', 'file', 'ignored']);
  assert.deepEqual(terms('HTTPServer read_file x2 word'), [
    ...['httpserver', 'http', 'server', 'read_file', 'read', 'file', 'x2', 'x', '2', 'word'],
  ]);
});

test('the segment with the words of the question comes first, whatever their endings', () => {
  const index = FocusIndex.build(documents);
  assert.equal(index.rank('Which function decides whether a file is ignored?').segments[0], 1);
  assert.equal(index.rank('What ignores paths?').segments[0], 1);
  assert.equal(index.rank('What does packSegments return?').segments[0], 2);
  assert.equal(index.rank('Explain scan.ts').paths[0], 'src/scan.ts');
});

test('a file that is spread over segments is named once', () => {
  const { segments, paths } = FocusIndex.build(documents).rank('zebra');
  assert.deepEqual(paths, ['src/long.ts']);
  assert.deepEqual(segments.sort(), [7, 8]);
});

test('no more than four segments keep their weight, and none without a shared word', () => {
  const index = FocusIndex.build(documents);
  assert.equal(index.rank('export').segments.length, 4);
  assert.deepEqual(index.rank('giraffe'), { segments: [], paths: [] });
  assert.deepEqual(index.rank('what is it?'), { segments: [], paths: [] });
});

test('an index that was stored ranks as before', () => {
  const index = FocusIndex.build(documents);
  const again = FocusIndex.parse(index.serialize());
  assert.deepEqual(again.rank('packSegments of scan'), index.rank('packSegments of scan'));
});
