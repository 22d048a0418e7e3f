import assert from 'node:assert/strict';
import test from 'node:test';
import { citations, type SegmentEvidence } from '../../backend/engine/citations.ts';

/** A segment of one file with a header of 4 tokens and 2 tokens a line. */
function segment(
  path: string,
  perLine: number[],
  options: Partial<SegmentEvidence> & { startLine?: number } = {},
) {
  const lines = perLine.map(() => 2);
  const mass = Float32Array.from([9, 9, 9, 9, ...perLine.flatMap((share) => [share / 2, share / 2])]);
  const { startLine = 1, blank = [[]] } = options;
  return {
    lines: { lead: 0, sources: [{ path, startLine, tokens: mass.length, header: 4, lines }] },
    blank,
    mass,
  };
}

const quiet = (count: number): number[] => Array.from({ length: count }, () => 0.25);

test('the line that was read is cited with its share of all lines', () => {
  assert.deepEqual(citations([segment('a.ts', [...quiet(8), 14])], ''), [
    { file: 'a.ts', startLine: 9, endLine: 9, mass: 0.875 },
  ]);
});

test('lines that stand close together are one place', () => {
  const found = citations([segment('a.ts', [...quiet(20), 16, 0.25, 0.25, 16, ...quiet(20), 16])], '');
  assert.deepEqual(
    found.map(({ startLine, endLine }) => [startLine, endLine]),
    [
      [21, 24],
      [45, 45],
    ],
  );
});

test('headers, first tokens and lines without a word count for nothing', () => {
  const found = citations([segment('a.ts', [...quiet(8), 64, 14], { blank: [[8]] })], '');
  assert.deepEqual(
    found.map(({ startLine, mass }) => [startLine, mass]),
    [[10, 0.875]],
  );
});

test('lines of a part of a file keep their numbers in the file', () => {
  const found = citations([segment('a.ts', [...quiet(8), 14], { startLine: 100 })], '');
  assert.equal(found[0]?.startLine, 108);
});

test('a file that the answer names goes before a stronger one', () => {
  const both = [segment('src/a.ts', [...quiet(8), 16]), segment('src/b.ts', [...quiet(8), 12])];
  assert.deepEqual(
    citations(both, 'See b.ts.').map(({ file }) => file),
    ['src/b.ts', 'src/a.ts'],
  );
  assert.equal(citations(both, 'See nothing.')[0]?.file, 'src/a.ts');
});

test('no more than eight places are cited, the strongest first', () => {
  const perLine = Array.from({ length: 12 }, (_, i) => [...quiet(40), 20 + i]).flat();
  const found = citations([segment('a.ts', perLine)], '');
  assert.equal(found.length, 8);
  assert.deepEqual(
    found.map(({ startLine }) => startLine),
    Array.from({ length: 8 }, (_, i) => (12 - i) * 41),
  );
});

test('a repository may have more lines than a function call arguments', () => {
  const found = citations([segment('a.ts', [...quiet(200_000), 1_000])], '');
  assert.equal(found[0]?.startLine, 200_001);
});

test('without any mass nothing is cited', () => {
  assert.deepEqual(citations([segment('a.ts', [0, 0])], 'a.ts'), []);
});
