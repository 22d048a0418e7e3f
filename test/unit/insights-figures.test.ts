import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { GateReport } from '../../backend/protocol.ts';
import {
  gateTable,
  heatMap,
  heatTable,
  mapKinds,
  memoryTable,
  sparsityFigures,
  speedFigures,
  storeTable,
} from '../../extension/insights/figures.ts';
import type { InsightRecord } from '../../extension/insights/model.ts';
import { exactAttention } from '../fixtures/exact-attention.mjs';
import { memory } from '../fixtures/memory.mjs';
import { steps, store, waveAttention } from '../fixtures/wave-attention.mjs';

const record: InsightRecord = {
  ...{
    id: 1,
    activity: { kind: 'ask', root: '/r', question: 'Where?' },
    status: 'done',
    startedMs: 0,
    tokens: 44,
  },
  ...{ prefillRates: [[1, 210]], decodeRates: [[2, 30]], context: null, attention: waveAttention, steps },
  ...{ gate: null, mode: 'wave', memory, diskBytesPerToken: 5e5 },
  timing: {
    prefillTokens: 400,
    prefillMs: 2000,
    indexMs: 0,
    diskMs: 0,
    ttftMs: 812,
    decodeTokensPerSecond: 38.4,
  },
};

const lines = (figures: { label: string; value: string; note?: string }[]) =>
  figures.map(({ label, value, note }) => [label, value, ...(note ? [note] : [])].join(' | '));

test('sparsity is told in tokens and clusters, with its quality against exact attention', () => {
  assert.deepEqual(lines(sparsityFigures(waveAttention)), [
    'Tokens attended exactly | 800 of 40,000 | 2% of what was chosen from, mean over layers and heads',
    'Tokens estimated | 39,200',
    'Clusters retrieved | 52 of 2,500 | 3 chosen, but not there in time',
    'Recall of the 100 strongest tokens | 97% | against exact attention, 12 samples',
    'Attention mass captured | 99% | against exact attention, 12 samples',
  ]);
});

test('without samples the quality is not known, and without a choice there is no sparsity', () => {
  const unsampled = { ...waveAttention, recall: null, captured: null };
  assert.match(
    lines(sparsityFigures(unsampled)).at(-1) ?? '',
    /Against exact attention \| – \| Not sampled yet/,
  );
  assert.match(lines(sparsityFigures(exactAttention.attention)).join(), /nothing was chosen from/);
});

test('speed comes from the finished answer, and before that from the last sample', () => {
  assert.deepEqual(lines(speedFigures(record)), [
    'Decode | 38.4 tokens/s | 44 tokens',
    'Prefill | 200 tokens/s | 400 tokens',
    'First word | 0.8 s',
  ]);
  assert.deepEqual(lines(speedFigures({ ...record, timing: null })), [
    'Decode | 30.0 tokens/s | 44 tokens',
    'Prefill | 210 tokens/s',
  ]);
});

test('memory is told by tier, with a dash for what is not known', () => {
  assert.deepEqual(memoryTable(record, store).rows, [
    ['GPU', 'none', '–', '–', '–'],
    ['RAM', '200 MB', '4.0 GB', '90%', '45 MB'],
    ['Disk', '5.0 GB', '20.0 GB', '–', '500 kB'],
  ]);
  assert.deepEqual(memoryTable(undefined, null).rows[1], ['RAM', '–', '–', '–', '–']);
});

test('the heat map offers what says something, and its table has a row per layer', () => {
  assert.deepEqual(mapKinds(waveAttention), ['exact', 'steady', 'retrieved', 'estimated', 'coarse']);
  assert.deepEqual(mapKinds(exactAttention.attention), ['steady']);
  const map = heatMap(waveAttention, 'exact');
  assert.equal(map.scale, 0.045);
  const table = heatTable(map);
  assert.deepEqual(table.columns, ['Layer', 'Head 0', 'Head 1']);
  assert.equal(table.rows.length, 24);
  assert.deepEqual(table.rows.at(-1), ['23', '4%', '4.5%']);
});

test('a map of nothing is not scaled up to colours', () => {
  const mass = { ...waveAttention.mass, coarse: [[0, 0]] };
  assert.equal(heatMap({ ...waveAttention, mass }, 'coarse').scale, 0.01);
});

test('the store and the choice are tables, or say why they are empty', () => {
  assert.deepEqual(storeTable(store).rows, [['/home/me/orchard', 'Tiny 1M', '41k', '96', '500 MB']]);
  assert.equal(storeTable(null).empty, 'Known when the backend has run.');
  const segment = { paths: ['a.ts'], startLine: 1, endLine: 9, tokens: 1200, score: 1 };
  const gate: GateReport = { segments: [{ ...segment, reason: 'words' }], looks: [], others: 'coarse' };
  assert.deepEqual(gateTable({ ...record, gate }).rows, [['a.ts', '1-9', '1,200', 'words']]);
  assert.equal(gateTable(record).empty, 'Everything was looked at alike.');
});
