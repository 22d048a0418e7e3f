import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AskResult, InsightProgress } from '../../backend/protocol.ts';
import type { SessionEvent } from '../../extension/events.ts';
import { initialInsights, reduceInsights, shownRecord } from '../../extension/insights/model.ts';
import type { InsightsEvent, InsightsState } from '../../extension/insights/model.ts';
import { exactAttention } from '../fixtures/exact-attention.mjs';
import { steps, store, waveAttention } from '../fixtures/wave-attention.mjs';
import { memory } from '../fixtures/memory.mjs';

const context = { tokens: 41_203, files: 120, excluded: [], coverage: 1, budget: 1e6, state: '' };
const timing = {
  prefillTokens: 0,
  prefillMs: 0,
  indexMs: 0,
  diskMs: 0,
  ttftMs: 800,
  decodeTokensPerSecond: 30,
};
const result: AskResult = {
  ...exactAttention,
  ...{ answer: 'A.', citations: [], context, timing, finish: 'stop', missed: [], steps, mode: 'wave' },
  attention: waveAttention,
  memory,
};

const asked = (question: string): SessionEvent => ({
  type: 'started',
  activity: { kind: 'ask', root: '/r', question },
});
const insight = (tokens: number, readBytes: number): SessionEvent => {
  const progress: InsightProgress = {
    ...{ kind: 'insight', tokens, tokensPerSecond: 20, attention: waveAttention },
    memory: { ...memory, readBytes },
  };
  return { type: 'progress', progress };
};
const prefill = (rate: number): SessionEvent => ({
  type: 'progress',
  progress: { kind: 'phase', phase: 'prefill', done: 1, total: 2, rate },
});

/** One event a second. */
const fold = (events: InsightsEvent[], state: InsightsState = initialInsights) =>
  events.reduce((each, event, i) => reduceInsights(each, event, 1000 * i), state);

test('rates are samples over the seconds since the question', () => {
  const record = shownRecord(fold([asked('Where?'), prefill(200), prefill(210), insight(4, 100)]));
  assert.deepEqual(record?.prefillRates, [
    [1, 200],
    [2, 210],
  ]);
  assert.deepEqual(record?.decodeRates, [[3, 20]]);
});

test('bytes from the disk are told per token of this answer, whatever was read before it', () => {
  const events = [asked('One'), insight(1, 5_000), insight(11, 6_000)];
  assert.equal(shownRecord(fold(events))?.diskBytesPerToken, 100);
  const again = fold([...events, { type: 'cancelled' }, asked('Two'), insight(1, 9_000)]);
  assert.equal(shownRecord(again)?.diskBytesPerToken, null);
});

test('an answer keeps its figures while others are asked, and a record that is held fast stays shown', () => {
  const first = fold([asked('One'), insight(3, 1), { type: 'answered', result }]);
  const frozen = fold([{ type: 'freeze', record: 1 }, asked('Two'), insight(9, 1)], first);
  assert.equal(shownRecord(frozen)?.tokens, 3);
  assert.equal(shownRecord(frozen)?.status, 'done');
  const live = fold([{ type: 'freeze', record: null }], frozen);
  assert.equal(shownRecord(live)?.tokens, 9);
  assert.equal(fold([{ type: 'freeze', record: 77 }], frozen).frozen, null, 'a record that is gone');
});

test('old records go, but for one that is held fast', () => {
  const many = Array.from({ length: 25 }, (_, i) => [asked(`${i}`), { type: 'cancelled' } as const]).flat();
  const ids = (state: InsightsState) => state.records.map(({ id }) => id);
  assert.deepEqual(ids(fold(many)).slice(0, 1), [6]);
  assert.equal(ids(fold(many)).length, 20);
  const held = fold(many.slice(2), fold([...many.slice(0, 2), { type: 'freeze', record: 1 }]));
  assert.equal(ids(held)[0], 1);
});

test('what comes after the end is dropped', () => {
  const ended = fold([asked('One'), { type: 'cancelled' }]);
  assert.deepEqual(fold([insight(5, 1), prefill(3)], ended).records, ended.records);
});

test('a chart keeps its shape and loses every second point when it has too many', () => {
  const state = fold([asked('One'), ...Array.from({ length: 1000 }, (_, i) => prefill(i + 1))]);
  const rates = shownRecord(state)?.prefillRates ?? [];
  assert.ok(rates.length <= 600, String(rates.length));
  assert.deepEqual(rates[0], [1, 1]);
  assert.deepEqual(rates.at(-1), [1000, 1000]);
});

test('the store is what was told last', () => {
  assert.equal(fold([{ type: 'store', store }]).store, store);
});
