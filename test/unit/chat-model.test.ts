import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exactAttention } from '../fixtures/exact-attention.mjs';
import type { AskResult, ContextReport } from '../../backend/protocol.ts';
import { initialChat, reduceChat } from '../../extension/chat/model.ts';
import type { ChatEvent, ChatState } from '../../extension/chat/model.ts';
import { memory } from '../fixtures/memory.mjs';

const context: ContextReport = {
  tokens: 41_203,
  files: 120,
  excluded: Array.from({ length: 250 }, (_, i) => ({ file: `${i}.lock`, reason: 'lock file' })),
  coverage: 1,
  state: '3f2a91c0d4',
  budget: 1_000_000,
};
const result: AskResult = {
  answer: 'It is `a.ts`.',
  citations: [{ file: 'a.ts', startLine: 1, endLine: 2 }],
  context,
  timing: { prefillTokens: 0, prefillMs: 0, indexMs: 0, diskMs: 0, ttftMs: 812, decodeTokensPerSecond: 38 },
  memory,
  finish: 'stop',
  missed: [],
  ...exactAttention,
};
const started: ChatEvent = { type: 'started', activity: { kind: 'ask', root: '/r', question: 'Where?' } };
const text = (piece: string): ChatEvent => ({ type: 'progress', progress: { kind: 'text', text: piece } });
const prefill: ChatEvent = {
  type: 'progress',
  progress: { kind: 'phase', phase: 'prefill', done: 1, total: 4 },
};

const after = (...events: ChatEvent[]): ChatState => events.reduce(reduceChat, initialChat);
const last = (state: ChatState) => state.turns.at(-1) ?? assert.fail('no turn');

test('progress is shown until the first word, and the words add up', () => {
  assert.equal(last(after(started, prefill)).progress?.total, 4);
  const turn = last(after(started, prefill, text('It '), text('is')));
  assert.equal(turn.answer, 'It is');
  assert.equal(turn.progress, null);
  assert.equal(turn.status, 'working');
});

test('the result replaces the streamed words and brings citations, figures and scope', () => {
  const state = after(started, text('It is'), { type: 'answered', result });
  const turn = last(state);
  assert.equal(turn.answer, 'It is `a.ts`.');
  assert.deepEqual(turn.citations, result.citations);
  assert.equal(turn.ttftMs, 812);
  assert.equal(turn.status, 'done');
  assert.equal(state.scope?.tokens, 41_203);
});

test('an answer from a part of the repository names the files that it missed', () => {
  const turn = last(after(started, { type: 'answered', result: { ...result, missed: ['b.ts'] } }));
  assert.deepEqual(turn.missed, ['b.ts']);
});

test('an answer keeps which state of the files it saw, and what was not saved then', () => {
  const turn = last(after({ ...started, unsaved: ['b.ts'] }, { type: 'answered', result }));
  assert.deepEqual([turn.state, turn.unsaved], ['3f2a91c0d4', ['b.ts']]);
});

test('the scope tells what has changed since, until the next context', () => {
  const changed: ChatEvent = { type: 'changed', changed: ['a.ts'], unsaved: [] };
  const state = after(started, { type: 'answered', result }, changed);
  assert.deepEqual(state.scope?.changed, ['a.ts']);
  assert.equal(reduceChat(state, changed), state);
  assert.deepEqual(reduceChat(state, { type: 'answered', result }).scope?.changed, []);
});

test('the scope counts all files left out and lists no more than a hundred', () => {
  const state = after(started, { type: 'progress', progress: { kind: 'context', context } });
  assert.equal(state.scope?.leftOut, 250);
  assert.equal(state.scope.excluded.length, 100);
});

test('a cancelled answer keeps its words, and what comes late changes nothing', () => {
  const cancelled = after(started, text('It'), { type: 'cancelled' });
  assert.equal(last(cancelled).status, 'cancelled');
  assert.equal(last(cancelled).answer, 'It');
  assert.equal(reduceChat(cancelled, text(' is')), cancelled);
  assert.equal(last(reduceChat(cancelled, { type: 'answered', result })).status, 'cancelled');
});

test('an error ends the turn, and the next question starts a new one', () => {
  const problem = { message: 'Too long: please shorten it.', remedies: ['retry' as const] };
  const state = after(started, { type: 'failed', problem }, started);
  assert.deepEqual(
    state.turns.map(({ id, status }) => [id, status]),
    [
      [1, 'failed'],
      [2, 'working'],
    ],
  );
  assert.deepEqual(state.turns[0]?.problem, problem);
});

test('the newest thirty turns are kept, and their ids are not used again', () => {
  const state = after(...Array.from({ length: 40 }, () => [started, { type: 'cancelled' } as const]).flat());
  assert.equal(state.turns.length, 30);
  assert.deepEqual([state.turns[0]?.id, last(state).id], [11, 40]);
});

test('clearing leaves the turn that is at work', () => {
  const state = after(started, { type: 'cancelled' }, started, { type: 'clear' });
  assert.deepEqual(
    state.turns.map(({ id }) => id),
    [2],
  );
});
