import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PhaseProgress } from '../../backend/protocol.ts';
import { initialStatus, reduceStatus, statusView } from '../../extension/budget/status-model.ts';
import type { StatusEvent } from '../../extension/budget/status-model.ts';
import type { SessionEvent } from '../../extension/events.ts';
import { bytes, duration, progressFigures, short } from '../../extension/format.ts';
import { memory } from '../fixtures/memory.mjs';

const context = {
  tokens: 41_203,
  files: 120,
  excluded: [],
  coverage: 1,
  budget: 1_000_000,
  state: '3f2a91c0d4',
};
const started: SessionEvent = { type: 'started', activity: { kind: 'read', root: '/r' } };
const read: SessionEvent = {
  type: 'read',
  result: {
    context,
    timing: { prefillTokens: 0, prefillMs: 0, indexMs: 0, diskMs: 0 },
    memory,
  },
};
const phase = (value: Omit<PhaseProgress, 'kind'>): SessionEvent => ({
  type: 'progress',
  progress: { kind: 'phase', ...value },
});
const failed: SessionEvent = { type: 'failed', problem: { message: 'No.', remedies: [] } };
const backend = (state: 'starting' | 'running' | 'failed'): SessionEvent => ({ type: 'backend', state });
const after = (...events: StatusEvent[]) => statusView(events.reduce(reduceStatus, initialStatus));

test('before anything is read the item names the product and asks', () => {
  const view = after();
  assert.equal(view.text, '$(telescope) RepoWave');
  assert.equal(view.command, 'repowave.ask');
});

test('a download shows its share, and its amount while the total is unknown', () => {
  assert.equal(
    after(started, phase({ phase: 'download', done: 42, total: 100 })).text,
    '$(cloud-download) 42%',
  );
  assert.equal(after(started, phase({ phase: 'download', done: 98e6 })).text, '$(cloud-download) 98 MB');
});

test('prefill shows percent and time left, in words for screen readers', () => {
  const view = after(
    started,
    phase({ phase: 'prefill', done: 301_000, total: 812_000, rate: 1240, etaSeconds: 130 }),
  );
  assert.equal(view.text, '$(sync~spin) 37% 2m10s');
  assert.equal(
    view.label,
    'RepoWave: Reading the repository: 37% · 301,000 of 812,000 tokens · 1,240 tokens/s · 2m10s left',
  );
});

test('afterwards it shows the tokens in context and the budget', () => {
  const view = after(started, read);
  assert.equal(view.text, '$(telescope) 41k/1M');
  assert.equal(view.label, 'RepoWave: 41,203 of 1,000,000 tokens in context, 120 files');
});

test('it spins while an answer comes, and returns to the figures when that ends', () => {
  const text: SessionEvent = { type: 'progress', progress: { kind: 'text', text: 'a' } };
  assert.equal(after(started, read, started, text).text, '$(loading~spin) 41k/1M'); // no rate yet
  for (const end of [failed, { type: 'cancelled' } as const]) {
    assert.equal(after(started, read, started, text, end).text, '$(telescope) 41k/1M');
  }
});

test('a click goes to what the state calls for', () => {
  const text: SessionEvent = {
    type: 'progress',
    progress: { kind: 'text', text: 'a', tokensPerSecond: 38.4 },
  };
  const absent = { type: 'model', needed: true } as const;
  assert.equal(after(absent).command, 'repowave.getStarted');
  assert.equal(after(absent, { ...absent, needed: false }).command, 'repowave.ask');
  assert.equal(after(started, read).command, 'repowave.budget.show');
  const answering = after(started, read, started, text);
  assert.deepEqual([answering.text, answering.command], ['$(loading~spin) 38 tok/s', 'repowave.cancel']);
  assert.equal(answering.label, 'RepoWave: Answering, 38 tokens/s');
});

test('more than fits is a warning with all that is needed, in words too, that leads to the plan', () => {
  const over = { ...context, tokens: 990_000, overBudget: { files: 512, tokens: 320_000 } };
  const view = after(started, { type: 'progress', progress: { kind: 'context', context: over } }, failed);
  assert.deepEqual([view.text, view.background], ['$(warning) 1.3M/1M', 'warning']);
  assert.equal(view.command, 'repowave.budget.show');
  assert.match(view.label, /512 files with about 320,000 tokens do not fit and are not in context/);
});

test('what has changed since is counted and named, and reading again makes it right', () => {
  const changed = { type: 'changed', changed: ['a.ts', 'b.ts', 'c.ts', 'd.ts'], unsaved: ['e.ts'] } as const;
  const event = { ...changed, changed: [...changed.changed], unsaved: [...changed.unsaved] };
  const view = after(started, read, event);
  assert.deepEqual([view.text, view.command], ['$(telescope) 41k/1M +5 stale', 'repowave.read']);
  assert.match(view.label, /Changed since it was read: a.ts, b.ts, c.ts and 1 more. Not saved.*: e.ts$/);
  assert.equal(
    after(started, read, event, { ...event, changed: [], unsaved: [] }).text,
    '$(telescope) 41k/1M',
  );
  assert.equal(after(started, read, event, started, read).text, '$(telescope) 41k/1M +1 stale');
});

test('the tooltip says where what was read lies', () => {
  assert.match(
    after(started, read).tooltip.at(-1) ?? '',
    /GPU \| RAM \| Disk \|\n.*\n\| 0 kB \| 1.0 GB \| 500 MB \|/,
  );
  assert.equal(after().tooltip.length, 1);
});

test('a backend that has stopped is an error until it starts again', () => {
  const view = after(started, read, started, backend('failed'), failed);
  assert.equal(view.text, '$(error) RepoWave');
  assert.equal(view.command, 'repowave.restart');
  assert.equal(view.background, 'error');
  assert.equal(after(started, read, backend('failed'), backend('starting')).background, 'none');
});

test('numbers are short, and round the right way', () => {
  assert.deepEqual([0, 999, 1000, 999_499, 999_500, 1_310_000].map(short), [
    '0',
    '999',
    '1k',
    '999k',
    '1M',
    '1.3M',
  ]);
  assert.deepEqual([0, 59.4, 60, 130, 3900].map(duration), ['0s', '59s', '1m00s', '2m10s', '1h05m']);
  assert.deepEqual([5e4, 98_362_432, 1_117_320_768].map(bytes), ['50 kB', '98 MB', '1.1 GB']);
});

test('a progress line is never without a number', () => {
  for (const name of ['scan', 'download', 'load', 'prefill', 'question'] as const) {
    assert.match(progressFigures({ kind: 'phase', phase: name, done: 0 }), /\d/);
  }
});
