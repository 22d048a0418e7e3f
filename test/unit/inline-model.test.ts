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

/** As the comment shows an answer. */
const shown = (answer: string): string => answerMarkdown({ ...exchange, answer }, () => undefined);

test('a picture in an answer is not fetched', () => {
  assert.equal(
    shown('![x](https://example.org/a.png) ![y][z] vec![1]'),
    '!\\[x](https://example.org/a.png) !\\[y][z] vec!\\[1]',
  );
  // What is no code in the end, though it begins like some.
  const picture = '![a[b]c](https://example.org/a.png)';
  for (const before of ['```foo``` reads it. ', '> ```\n\n', '    ```\n', '` a ` b\n- '])
    assert.ok(shown(before + picture).includes('!\\[a[b]c]'), before);
  assert.ok(shown('```foo``` ![p]\n\n[p]: https://example.org').includes('!\\[p]'));
});

test('a link in an answer leads to the web, or is text', () => {
  const web =
    '[a](https://example.org) [b](<http://example.org> "b") <https://example.org>\n\n[c]: https://example.org';
  assert.equal(shown(web), web);
  assert.equal(shown('[out](file:///etc/passwd)'), '[out]\\(file:///etc/passwd)');
  assert.equal(shown('[`out`]( <command:x>)'), '[`out`]\\( \\<command:x>)');
  assert.equal(shown('see [a](src/a.ts#L3)'), 'see [a]\\(src/a.ts#L3)');
  assert.equal(shown('<file:///etc/passwd> <T>'), '\\<file:///etc/passwd> <T>');
  assert.equal(shown('[out][x]\n\n[x]:\n  file:///etc/passwd'), '[out][x]\n\n\\[x]:\n  file:///etc/passwd');
});

test('code in an answer stays as it is, also before its end has come', () => {
  for (const code of [
    '`a[0](b)` and ``a`[0](b)``',
    '1. it calls\n   ```js\n   a[0](b)\n\n   c[0](d)\n   ```\n',
    '```js\na[0](b)\n',
    '~~~~\n~~~\n[a](b)\n~~~~',
    'it\\`s one',
  ])
    assert.equal(shown(code), code);
  assert.equal(shown('```\na[0](b)\n```\n[a](b)'), '```\na[0](b)\n```\n[a]\\(b)');
  assert.equal(shown('a ` tick, and\n\n[a](b) `'), 'a ` tick, and\n\n[a]\\(b) `');
});
