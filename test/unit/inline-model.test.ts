import assert from 'node:assert/strict';
import { test } from 'node:test';
import { answerMarkdown, earlierOf, foundAgain, moved, placeFrom } from '../../extension/inline/model.ts';
import type { Edit } from '../../extension/inline/model.ts';

const range = { start: 10, end: 12 };
const at = (line: number, character = 0) => ({ line, character });
const edit = (start: Edit['start'], end: Edit['end'], breaks: number): Edit => ({ start, end, breaks });

test('lines move with edits above them, and not with edits below', () => {
  assert.deepEqual(moved(range, edit(at(3), at(3), 2)), { start: 12, end: 14 });
  assert.deepEqual(moved(range, edit(at(3), at(5), 0)), { start: 8, end: 10 });
  assert.deepEqual(
    moved(range, edit(at(10), at(10), 1)),
    { start: 11, end: 13 },
    'in front of the first line',
  );
  assert.deepEqual(moved(range, edit(at(13), at(20), 0)), range);
});

test('lines grow and shrink with edits inside, and are left where they were deleted', () => {
  assert.deepEqual(moved(range, edit(at(11, 4), at(11, 4), 2)), { start: 10, end: 14 });
  assert.deepEqual(moved(range, edit(at(11), at(12), 0)), { start: 10, end: 11 });
  assert.deepEqual(moved(range, edit(at(5), at(20), 0)), { start: 5, end: 5 });
});

test('after a reload lines are found where they were, or where alone they are word for word', () => {
  const stored = { uri: '', range: { start: 1, end: 2 }, text: ['b', 'c'], exchanges: [], resolved: false };
  assert.deepEqual(foundAgain(stored, ['a', 'b', 'c']), { start: 1, end: 2 });
  assert.deepEqual(foundAgain(stored, ['x', 'y', 'a', 'b', 'c']), { start: 3, end: 4 });
  assert.deepEqual(foundAgain(stored, ['b', 'c', 'x', 'b', 'c']), { start: 1, end: 2 }, 'not known which');
  assert.deepEqual(foundAgain(stored, ['x']), { start: 0, end: 0 });
});

const exchange = { question: 'Why?', answer: '', citations: [], note: '' };

test('the model is told the last two exchanges that have an answer', () => {
  const exchanges = ['a', 'b', '', 'c'].map((answer) => ({ ...exchange, answer }));
  assert.deepEqual(
    earlierOf(exchanges).map(({ answer }) => answer),
    ['b', 'c'],
  );
  assert.deepEqual(placeFrom('a.ts', { start: 0, end: 2 }), { file: 'a.ts', startLine: 1, endLine: 3 });
});

test('an answer links its sources, and what leads out of the folder is not among them', () => {
  const citations = [
    { file: 'app/[id].ts', startLine: 3, endLine: 9, mass: 0.62 },
    { file: '../b.ts', startLine: 1, endLine: 1 },
  ];
  const link = ({ file }: { file: string }) => (file.startsWith('..') ? undefined : 'file:///x#L3');
  assert.equal(
    answerMarkdown({ ...exchange, answer: 'It is.', citations, note: 'state 1' }, link),
    'It is.\n\nSources: [app/\\[id\\].ts:3-9](file:///x#L3) 62%\n\n_state 1_',
  );
});

test('a picture in an answer is not fetched', () => {
  const answer = '![x](https://example.org/a.png) ![y][z] vec![1] a[0](b)';
  const shown = answerMarkdown({ ...exchange, answer }, () => undefined);
  assert.equal(shown, '!\\[x](https://example.org/a.png) !\\[y][z] vec![1] a[0](b)');
});
