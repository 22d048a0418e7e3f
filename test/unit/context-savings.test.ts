import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tokenCounts } from '../../backend/context/counts.ts';
import { savingsFor } from '../../backend/context/savings.ts';

const repository = [
  { file: 'README.md', tokens: 500 },
  { file: 'docs/guide.md', tokens: 2_000 },
  { file: 'src/a.ts', tokens: 4_000 },
  { file: 'src/legacy/b.ts', tokens: 3_000 },
  { file: 'src/tests/a.test.ts', tokens: 1_500 },
  { file: 'src/view.test.ts', tokens: 700 },
  { file: 'vendor/lib/tests/c.c', tokens: 900 },
  { file: 'web/__snapshots__/a.snap', tokens: 800 },
];
const patterns = (budget: number, files = repository) =>
  savingsFor(files, budget).map(({ pattern }) => pattern);
const total = repository.reduce((sum, { tokens }) => sum + tokens, 0);

test('nothing is to be left out of what fits', () => {
  assert.deepEqual(savingsFor(repository, total), []);
});

test('what questions miss least goes first, and no more than is needed', () => {
  assert.deepEqual(savingsFor(repository, total - 1), [
    { pattern: 'vendor/', why: 'vendored', files: 1, tokens: 900 },
  ]);
  assert.deepEqual(patterns(total - 901), ['vendor/', '__snapshots__/']);
  assert.deepEqual(patterns(total - 3_701), ['vendor/', '__snapshots__/', 'docs/', 'tests/']);
  assert.deepEqual(patterns(total - 5_300), ['vendor/', '__snapshots__/', 'docs/', 'tests/', '*.test.ts']);
});

test('when that is not enough, the smallest folder or file that is goes', () => {
  assert.deepEqual(patterns(total - 8_900).at(-1), '/src/legacy/');
  assert.deepEqual(patterns(total - 9_000).at(-1), '/src/a.ts');
  assert.deepEqual(patterns(total - 10_000).at(-1), '/src/');
});

test('what is pinned stays, and a file that is larger than the budget is left out last', () => {
  const pinned = repository.map((file) => ({ ...file, pinned: file.file.startsWith('docs/') || undefined }));
  const kept = savingsFor(pinned as typeof repository, total - 3_701).map(({ pattern }) => pattern);
  assert.deepEqual(kept, ['vendor/', '__snapshots__/', 'tests/', '*.test.ts']);
  assert.deepEqual(
    patterns(100, [
      { file: 'a.ts', tokens: 200 },
      { file: 'b.ts', tokens: 50 },
    ]),
    ['/a.ts'],
  );
});

test('a pattern names its folder literally', () => {
  const files = [
    { file: '[a]/x.ts', tokens: 600 },
    { file: 'b.ts', tokens: 500 },
  ];
  assert.deepEqual(patterns(550, files), ['/\\[a\\]/']);
});

test('files that no segment holds are estimated by their size, like those that are counted', () => {
  const source = (path: string, tokens: number) => ({ path, startLine: 1, tokens, header: 0, lines: [] });
  const segments = [
    { lines: { lead: 0, sources: [source('a', 10), source('b', 20)] } },
    { lines: { lead: 0, sources: [source('b', 20)] } },
  ];
  const files = [
    { path: 'a', bytes: 20 },
    { path: 'b', bytes: 80 },
    { path: 'c', bytes: 200 },
  ];
  assert.deepEqual(Object.fromEntries(tokenCounts(files, segments)), { a: 10, b: 40, c: 100 });
  assert.deepEqual(Object.fromEntries(tokenCounts([{ path: 'c', bytes: 36 }], [])), { c: 10 });
});
