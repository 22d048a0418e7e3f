import assert from 'node:assert/strict';
import { test } from 'node:test';
import { initialChat, reduceChat } from '../../extension/chat/model.ts';
import { evidenceAt, evidenceTree } from '../../extension/evidence/model.ts';
import { verdictDetails, verdictKey, verdictText, verifyParams } from '../../extension/evidence/verdict.ts';
import { exactAttention } from '../fixtures/exact-attention.mjs';

const verdict = { tokens: 10, seen: -4, hidden: -12.2, files: ['a.ts', 'b.ts'], hiddenTokens: 3_000 };
const citations = ['a.ts', 'b.ts', 'c.ts', 'd.ts'].map((file) => ({
  file,
  startLine: 1,
  endLine: 2,
  mass: 0.2,
}));
const state = [
  { type: 'started', activity: { kind: 'ask', root: '/r', question: 'Where?' } } as const,
  {
    type: 'answered',
    result: {
      ...{ answer: 'In a. Or b.', citations, finish: 'stop', missed: [], ...exactAttention },
      context: { tokens: 1, files: 1, excluded: [], coverage: 1, budget: 1, state: '' },
      timing: { prefillTokens: 0, prefillMs: 0, indexMs: 0, diskMs: 0, ttftMs: 1, decodeTokensPerSecond: 1 },
      memory: { ramBytes: 1, diskBytes: 1, gpuBytes: 0 },
      passages: [{ start: 0, end: 5, citations }],
    },
  } as const,
].reduce(reduceChat as never, initialChat);

test('what is hidden are the strongest places of the sentence, behind the same question', () => {
  const evidence = evidenceAt(state, { turn: 1, passage: 0 })!;
  assert.deepEqual(verifyParams(evidence, { root: '/r', gate: 'auto' }), {
    ...{ root: '/r', gate: 'auto', question: 'Where?', place: undefined, earlier: undefined },
    ...{ answer: 'In a. Or b.', passage: { start: 0, end: 5 } },
    hide: ['a.ts', 'b.ts', 'c.ts'].map((file) => ({ file, startLine: 1, endLine: 2 })),
  });
  assert.equal(verifyParams(evidenceAt(state, { turn: 1, passage: null })!, { root: '/r' }), undefined);
});

test('the change is told by token, with what it means', () => {
  const text = (hidden: number) => verdictText({ ...verdict, hidden });
  assert.equal(text(-12.2), '−0.82 nats a token when hidden: the sentence rests on it');
  assert.equal(text(-6), '−0.20 nats a token when hidden: the sentence leans on it');
  assert.equal(text(-4.1), '−0.01 nats a token when hidden: the sentence does not need it');
  assert.equal(text(-3), '+0.10 nats a token when hidden: the sentence does not need it');
  assert.match(
    verdictDetails(verdict),
    /^Hidden: a.ts, b.ts \(3,000 tokens\).* 10 tokens .* from -4.0 to -12.2 nats/,
  );
});

test('it stands in the tree, first below its sentence', () => {
  const [answer] = evidenceTree(state, new Map([[verdictKey(1, 0), verdict]]));
  const sentence = answer?.children.find(({ kind }) => kind === 'passage');
  assert.deepEqual(sentence?.children.map(({ kind }) => kind).slice(0, 2), ['verdict', 'citation']);
  assert.equal(sentence?.children[0]?.description, 'without a.ts, b.ts, 3k tokens');
  assert.equal(evidenceTree(state)[0]?.children.at(-1)?.children[0]?.kind, 'citation');
});
