// @ts-check
// What attention did for an answer, in the panel: figures, charts, heat map and tables, held fast and exported.
import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before } from 'node:test';
import { ask, chat, lastTurn, openWindow, questionBox, test, vscode } from './window.mjs';

before(() => openWindow({ env: { REPOWAVE_BACKEND: path.join(import.meta.dirname, 'fake-backend.mjs') } }));
after(() => vscode?.close());

/** The page in the panel. @type {import('playwright-core').Frame} */
let page;
/** @param {string} caption */
const table = (caption) => page.getByRole('table', { name: caption });
const shown = () => page.getByRole('combobox', { name: 'Shown' });

async function open() {
  await vscode.runCommand('RepoWave: Show Insights');
  page = await vscode.webviewWith('#insights');
}

test('before the first question the view says what it is for', async () => {
  // The chat's page is the first one of the window, as the others of this suite know it.
  await vscode.runCommand('RepoWave: Ask the Repository');
  await questionBox().waitFor();
  await open();
  await page.getByText('Ask a question: what attention does for it appears here').waitFor();
  assert.equal(await page.getByRole('button', { name: 'Export JSON' }).isEnabled(), false);
});

test('with an answer come speed, sparsity, recall, memory by tier and the store', async () => {
  await ask('Which function decides whether a file is ignored?');
  await lastTurn().getByText('First word after').waitFor();
  await page.getByText('800 of 40,000').waitFor();
  await page.getByText('52 of 2,500').waitFor();
  await page.getByText('against exact attention, 12 samples').first().waitFor();
  await page.getByText('38.4 tokens/s').waitFor();
  await table('Memory by tier').getByRole('row', { name: 'RAM 200 MB 4.0 GB 90% 45 MB' }).waitFor();
  await table('Memory by tier').getByRole('row', { name: 'Disk 5.0 GB 20.0 GB – 500 kB' }).waitFor();
  await table('Stored on disk').getByRole('row', { name: '/home/me/orchard Tiny 1M' }).waitFor();
  await page.locator('.chart:visible canvas').first().waitFor();
  await vscode.screenshot('insights-1-answer');
});

test('the heat map has a cell per layer and head, and is a table as well', async () => {
  const map = page.getByRole('img', { name: 'Tokens attended exactly: 24 layers, 2 heads, at most 4.5%' });
  assert.equal(await map.locator('rect').count(), 48);
  await page.getByText('As a table').click();
  await table('Tokens attended exactly').getByRole('row', { name: '23 4% 4.5%' }).waitFor();
  await page.getByRole('combobox', { name: 'Heat map of' }).selectOption('Attention mass: Estimated');
  await table('Attention mass: Estimated').getByRole('row', { name: '20 10% 10%' }).waitFor();
  await vscode.screenshot('insights-2-heat-map');
});

test('an answer that is held fast stays while the next one is asked, and Live goes on', async () => {
  await shown().selectOption('Which function decides whether a file is ignored?');
  await ask('Please wait');
  await lastTurn().getByText('37% ·').waitFor();
  await page.getByRole('option', { name: 'Please wait' }).waitFor({ state: 'attached' });
  await page.getByText('800 of 40,000').waitFor();
  await shown().selectOption('Live: the newest');
  await page.getByText('1,240 tokens/s').waitFor();
  assert.equal(await page.getByText('800 of 40,000').isVisible(), false);
  await chat().getByRole('button', { name: 'Cancel' }).click();
  await lastTurn().getByText('Cancelled.').waitFor();
});

test('the page comes back as it was after it was hidden', async () => {
  await vscode.runCommand('View: Toggle Panel Visibility');
  await vscode.page.locator('.part.panel').waitFor({ state: 'hidden' });
  await open();
  await shown().selectOption('Which function decides whether a file is ignored?');
  await page.getByText('800 of 40,000').waitFor();
});

test('what is shown is exported as JSON', async () => {
  await page.getByRole('button', { name: 'Export JSON' }).click();
  const line = (/** @type {string} */ text) => vscode.page.locator('.view-line', { hasText: text }).first();
  await line('"format": "repowave-insights"').waitFor();
  await line('"question": "Which function decides').waitFor();
});

test('nothing is wrong on the console', () => {
  assert.deepEqual(vscode.consoleErrors, []);
  return Promise.resolve();
});
