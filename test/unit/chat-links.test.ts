import assert from 'node:assert/strict';
import { test } from 'node:test';
import { resolveInside } from '../../extension/chat/inside.ts';
import { linkMentions, placeOf } from '../../extension/chat/links.ts';

const citations = [
  { file: 'src/ignore.ts', startLine: 29, endLine: 35 },
  { file: 'src/a/index.ts', startLine: 1, endLine: 1 },
  { file: 'src/b/index.ts', startLine: 1, endLine: 1 },
];
const links = (text: string) =>
  linkMentions(text, citations).flatMap(({ text, link }) => (link ? [[text, placeOf(link)]] : []));

test('a cited path becomes a link to its lines, or to the lines that the text names', () => {
  assert.deepEqual(links('See src/ignore.ts, ./src/ignore.ts:3 and src/ignore.ts:3-9.'), [
    ['src/ignore.ts', 'src/ignore.ts:29-35'],
    ['./src/ignore.ts:3', 'src/ignore.ts:3'],
    ['src/ignore.ts:3-9', 'src/ignore.ts:3-9'],
  ]);
});

test('a bare name is a link only when one cited file has it', () => {
  assert.deepEqual(links('ignore.ts or index.ts'), [['ignore.ts', 'src/ignore.ts:29-35']]);
});

test('files that are not cited are no links, and no text is lost', () => {
  const text = 'other.ts, ../secret.txt, my-src/ignore.ts; then src/ignore.ts! Done.';
  assert.deepEqual(links(text), [['src/ignore.ts', 'src/ignore.ts:29-35']]);
  assert.equal(
    linkMentions(text, citations)
      .map((piece) => piece.text)
      .join(''),
    text,
  );
});

test('only paths below the root are resolved', () => {
  assert.equal(resolveInside('/r', 'a/b.ts'), '/r/a/b.ts');
  assert.equal(resolveInside('/r', '..a/b.ts'), '/r/..a/b.ts');
  for (const file of ['../x', 'a/../../x', '/etc/passwd', '', '.', 'a\0b']) {
    assert.equal(resolveInside('/r', file), undefined, file);
  }
});
