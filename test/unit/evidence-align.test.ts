import assert from 'node:assert/strict';
import { test } from 'node:test';
import { align } from '../../extension/chat/align.ts';

/** What stands in the Markdown where `part` is in the rendered text. */
function sourceOf(source: string, rendered: string, part: string): string {
  const origin = align(source, rendered);
  const start = rendered.indexOf(part);
  return source.slice(origin[start], (origin[start + part.length - 1] ?? 0) + 1);
}

test('plain text stands where it stands', () => {
  assert.deepEqual(align('abc', 'abc'), [0, 1, 2]);
});

test('text is found behind the marks of emphasis, code, lists and fences', () => {
  const source = '1. one **two** `three`\n\n```ts\nfour();\n```\n\nFive.';
  const rendered = '\none two three\nfour();\nFive.\n';
  assert.equal(sourceOf(source, rendered, 'two'), 'two');
  assert.equal(sourceOf(source, rendered, 'three'), 'three');
  assert.equal(sourceOf(source, rendered, 'four();'), 'four();');
  assert.equal(sourceOf(source, rendered, 'Five.'), 'Five.');
});

test('white space behind a sentence does not belong to it', () => {
  assert.deepEqual(align('a. b', 'a. b'), [0, 1, 2, 3]);
  assert.deepEqual(align('**a.**\nb', 'a. b'), [2, 3, 4, 7]);
});

test('a link address is skipped', () => {
  const source = 'See [the file](https://example.org/a.b). Then go on.';
  assert.equal(sourceOf(source, 'See the file. Then go on.', 'Then go on.'), 'Then go on.');
});

test('line breaks that rendering adds or drops move nothing', () => {
  assert.equal(sourceOf('a\n  - b\n\nc', 'a\n\nb\n\n\nc\n', 'c'), 'c');
});

test('a character that is written otherwise in the Markdown moves nothing behind it', () => {
  const words = 'x'.repeat(400);
  assert.equal(sourceOf(`&lt;b ${words} <i>`, `<b ${words} <i>`, words), words);
});
