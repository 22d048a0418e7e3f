import assert from 'node:assert/strict';
import { test } from 'node:test';
import { conversationOf, gateQuestion, segmentsOver } from '../../backend/context/conversation.ts';
import { tree } from './repo-helpers.ts';

const source = (path: string, startLine: number, lines: number) => ({
  lines: {
    lead: 0,
    sources: [{ path, startLine, tokens: lines, header: 0, lines: Array.from({ length: lines }, () => 1) }],
  },
});
/** a.ts in two parts, then b.ts. */
const segments = [source('a.ts', 1, 10), source('a.ts', 11, 10), source('b.ts', 1, 3)];

test('a place is in the segments that hold one of its lines', () => {
  const over = (file: string, startLine: number, endLine: number) =>
    segmentsOver({ file, startLine, endLine }, '/r', segments);
  assert.deepEqual(over('a.ts', 10, 10), [0]);
  assert.deepEqual(over('./a.ts', 10, 11), [0, 1]);
  assert.deepEqual(over('/r/b.ts', 2, 2), [2]);
  assert.deepEqual(over('c.ts', 1, 9), []);
  assert.deepEqual(segmentsOver(undefined, '/r', segments), []);
});

test('the model reads the lines that a question is about, of files that are read only', async (t) => {
  const root = tree(t, { 'b.ts': 'one\ntwo\nthree\n', 'secret.ts': 'no\n' });
  const said = async (file: string) =>
    (
      await conversationOf(
        { root, question: 'Why?', place: { file, startLine: 2, endLine: 3 } },
        { segments },
      )
    ).conversation;
  assert.equal(await said('b.ts'), 'The question is about lines 2 to 3 of b.ts:\ntwo\nthree\n');
  assert.equal(await said('secret.ts'), 'The question is about lines 2 to 3 of secret.ts.\n');
  assert.equal(await said('../x.ts'), 'The question is about lines 2 to 3 of ../x.ts.\n');
});

test('of what was said before the last two exchanges are told, shortened', async () => {
  const earlier = ['a', 'b', 'c'].map((answer) => ({ question: `${answer}?`, answer: answer.repeat(2_000) }));
  const { conversation = '' } = await conversationOf({ root: '/r', question: 'Why?', earlier }, { segments });
  assert.match(
    conversation,
    /^Earlier question: b\?\nAnswer: b{1000}\nEarlier question: c\?\nAnswer: c{1000}\n$/,
  );
  assert.equal(gateQuestion({ question: 'Why?', earlier }), 'c?\nWhy?');
  assert.equal(gateQuestion({ question: 'Why?' }), 'Why?');
});
