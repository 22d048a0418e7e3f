import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PlanReport } from '../../backend/protocol.ts';
import { planText, planTree, walkNodes } from '../../extension/budget/plan-model.ts';

const report: PlanReport = {
  files: [
    { file: 'a.ts', tokens: 1_000 },
    { file: 'src/b.ts', tokens: 6_000, pinned: true },
    { file: 'src/deep/c.ts', tokens: 2_000 },
    { file: 'zoo/d.ts', tokens: 1_000, over: true },
  ],
  excluded: [
    { file: 'dist/', reason: 'ignored by .gitignore', ignored: true },
    { file: 'src/logo.png', reason: 'binary' },
  ],
  tokens: 10_000,
  budget: 9_500,
  counted: true,
  savings: [{ pattern: 'tests/', why: 'tests', files: 1, tokens: 600 }],
};
const nodes = (more: Partial<PlanReport> = {}) => [...walkNodes(planTree({ ...report, ...more }))];
const at = (path: string, more?: Partial<PlanReport>) => nodes(more).find(({ id }) => id === path);

test('the plan comes first, then everything by tokens, then what is left out', () => {
  assert.deepEqual(
    nodes().map(({ id }) => id),
    [
      ...['*plan', '*plan/tests/'],
      ...['src/', 'src/b.ts', 'src/deep/', 'src/deep/c.ts', 'src/logo.png'],
      ...['a.ts', 'zoo/', 'zoo/d.ts', 'dist/'],
    ],
  );
  assert.equal(nodes({ savings: [] })[0]?.id, 'src/');
});

test('a folder adds up what is read in it', () => {
  assert.equal(at('src/')?.description, '8k · 80% · 2 files');
  assert.equal(at('src/')?.spoken, 'src, 8,000 tokens, 2 files');
  assert.equal(at('src/')?.state, 'in');
  assert.equal(at('src/')?.pinned, false);
  assert.equal(at('zoo/')?.state, 'over');
});

test('a file says what it costs and what holds for it', () => {
  assert.equal(at('src/b.ts')?.description, '6k · every question looks at it closely');
  assert.equal(at('zoo/d.ts')?.description, '~1k · does not fit into the budget');
});

test('what is left out says why, and whether it can be brought back', () => {
  const { description, state, spoken } = at('dist/')!;
  assert.deepEqual([description, state], ['ignored by .gitignore', 'out']);
  assert.equal(spoken, 'dist, left out: ignored by .gitignore');
  assert.equal(at('src/logo.png')?.state, 'fixed');
});

test('the plan says what is too much and what it saves, as a whole and by part', () => {
  assert.equal(at('*plan')?.label, 'Fit into 9,500 tokens');
  assert.equal(at('*plan')?.description, '500 too many; this leaves out 600');
  assert.deepEqual(at('*plan')?.patterns, ['tests/']);
  assert.equal(at('*plan/tests/')?.description, '−600 · 1 file · tests');
});

test('estimates are marked as such', () => {
  assert.equal(planText(report), '10,000 of 9,500 tokens');
  assert.equal(planText({ ...report, counted: false }), 'about 10,000 of 9,500 tokens');
  assert.equal(at('a.ts', { counted: false })?.description, '~1k');
});
