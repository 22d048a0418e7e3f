// @ts-check
// What is read and what it costs: the tree with its check boxes, the file that remembers them, and the plan for a
// repository that does not fit.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { activeTab, ask, inCopyOfFixture, lastTurn, node, status, test, vscode } from './window.mjs';

const workspace = inCopyOfFixture();
const rules = path.join(workspace, '.repowave.json');
const rulesNow = () => fs.readFileSync(rules, 'utf8');

/** A line of the editor. @param {string} text */
const line = (text) => vscode.page.locator('.editor-instance .view-line', { hasText: text }).first();
const src = () => node('src, 40,403 tokens, 3 files');
const walk = () => node(/^walk\.ts, 8,403 tokens/);

test('before anybody wants to know, nothing is counted, and the view says how to', async () => {
  await vscode.runCommand('RepoWave: Focus on Context View');
  await vscode.page.getByRole('button', { name: 'Count the Tokens' }).click();
  await src().waitFor();
});

test('folders and files stand by tokens, and what is left out with its reason', async () => {
  await vscode.page.getByText('41,203 of 1,000,000 tokens').waitFor();
  await node('package-lock.json, left out: lock file').waitFor();
  assert.equal(await vscode.checkbox(node('package-lock.json, left out: lock file')).count(), 0);
  await src().click();
  await vscode.page.keyboard.press('ArrowRight');
  await walk().waitFor();
  await vscode.screenshot('budget-1-tree');
});

test('a file is left out by its check box, remembered in a file, and brought back', async () => {
  await vscode.checkbox(walk()).click();
  await node('walk.ts, left out: left out by .repowave.json').waitFor();
  assert.deepEqual(JSON.parse(rulesNow()), { out: ['/src/walk.ts'] });
  await vscode.checkbox(node(/^walk\.ts, left out/)).click();
  await walk().waitFor();
  assert.deepEqual(JSON.parse(rulesNow()), { out: [] });
});

test('a file is pinned and let go', async () => {
  await vscode.pressOn(walk(), 'Pin in Context');
  await node('walk.ts, 8,403 tokens, every question looks at it closely').waitFor();
  assert.deepEqual(JSON.parse(rulesNow()), { out: [], pinned: ['/src/walk.ts'] });
  await vscode.screenshot('budget-2-pinned');
  await vscode.pressOn(walk(), 'Unpin in Context');
  await node(/^walk\.ts, 8,403 tokens$/).waitFor();
  assert.deepEqual(JSON.parse(rulesNow()), { out: [], pinned: [] });
});

test('the file opens, and what cannot be right in it is marked', async () => {
  const text = (/** @type {number} */ tokens) =>
    `{\n    // the limit of our machines\n    "tokens": ${tokens},\n    "other": 1\n}\n`;
  fs.writeFileSync(rules, text(40));
  await vscode.runCommand('RepoWave: Open Rules of This Repository');
  await activeTab('.repowave.json').waitFor();
  await vscode.page.locator('.editor-instance .squiggly-warning').waitFor();
  fs.writeFileSync(rules, text(40_000));
  await line('"tokens": 40000').waitFor();
});

test('more than fits is a warning, and its plan is applied with one click', async () => {
  await ask('What does not fit?');
  await lastTurn().getByText('First word after').waitFor();
  await status('42k/40k').and(vscode.page.locator('.warning-kind')).click();
  await node(/^Fit into 40,000 tokens: 1k too many; this leaves out 8k/).waitFor();
  await node(/^\/src\/walk\.ts: −8k · 1 file · the largest that is left/).waitFor();
  await vscode.screenshot('budget-3-plan');
  await vscode.pressOn(node(/^Fit into/), 'Leave Out What the Plan Names');
  await node(/^Fit into/).waitFor({ state: 'detached' });
  assert.equal(
    rulesNow(),
    '{\n    // the limit of our machines\n    "tokens": 40000,\n    "other": 1,\n    "out": [\n        "/src/walk.ts"\n    ]\n}\n',
  );
  await ask('And now?');
  await status('41k/40k').waitFor();
});

test('a file that cannot be understood is told and not touched', async () => {
  fs.writeFileSync(rules, '{"out": [');
  await line('{"out": [').waitFor();
  await vscode.checkbox(node(/^README\.md, 800 tokens/)).click();
  await vscode.notification('.repowave.json cannot be understood: please correct it first.').waitFor();
  assert.equal(rulesNow(), '{"out": [');
});

test('nothing is wrong on the console but what was told', () => {
  const told = '.repowave.json cannot be understood';
  assert.deepEqual(
    vscode.consoleErrors.filter((text) => !text.includes(told)),
    [],
  );
  return Promise.resolve();
});
