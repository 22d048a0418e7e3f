import assert from 'node:assert/strict';
import test from 'node:test';
import { Sentences } from '../../backend/engine/sentences.ts';

/** The sentences of a text that comes in pieces of so many characters. */
function sentencesOf(text: string, size: number): string[] {
  const sentences = new Sentences();
  const found: string[] = [];
  for (let i = 0; i < text.length; i += size) {
    const range = sentences.push(text.slice(i, i + size));
    if (range) found.push(text.slice(range.start, range.end));
  }
  const rest = sentences.end();
  if (rest) found.push(text.slice(rest.start, rest.end));
  return found;
}

test('a sentence ends before white space, not within names and numbers', () => {
  const expected = ['It is 1.5 in `main.ts`.', 'Why?', 'See (b.ts).', 'the end'];
  for (const size of [1, 2, 3]) assert.deepEqual(sentencesOf(expected.join(' '), size), expected);
});

test('lines of a list are sentences, a block of code is one', () => {
  const list = ['Two things:', '1. The first', '- second'];
  assert.deepEqual(sentencesOf(list.join('\n'), 1), list);
  const block = '```ts\nconst a = 1;\nf(a). g();\n```';
  assert.deepEqual(sentencesOf(`Like this:\n\n${block}\n\nDone.`, 1), ['Like this:', block, 'Done.']);
});

test('a piece that completes several sentences gives them as one', () => {
  assert.deepEqual(new Sentences().push('One. Two. Thr'), { start: 0, end: 9 });
});
