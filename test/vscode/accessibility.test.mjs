// @ts-check
// Each page of ours under axe-core, in light, dark and high contrast, with a picture of each to look at.
import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before } from 'node:test';
import axe from 'axe-core';
import { ask, lastTurn, openWindow, questionBox, test, vscode } from './window.mjs';

before(() => openWindow({ env: { REPOWAVE_BACKEND: path.join(import.meta.dirname, 'fake-backend.mjs') } }));
after(() => vscode?.close());

/** What axe calls serious or critical on the page that holds this element. @param {string} selector */
async function findings(selector) {
  const frame = await vscode.webviewWith(selector);
  await frame.evaluate(`${axe.source}; 0`);
  // A page lets the window's background shine through, which axe cannot see from inside.
  await frame.evaluate(() => {
    document.documentElement.style.background = 'var(--vscode-sideBar-background)';
  });
  const violations = await frame.evaluate(async () => {
    const { violations } = await /** @type {typeof axe} */ (Reflect.get(window, 'axe')).run(document, {
      resultTypes: ['violations'],
    });
    return violations.map(({ id, impact, nodes }) => ({ id, impact, html: nodes.map(({ html }) => html) }));
  });
  return violations.filter(({ impact }) => impact === 'serious' || impact === 'critical');
}

test('the empty pages have no serious finding', async () => {
  await vscode.runCommand('RepoWave: Ask the Repository');
  await questionBox().waitFor();
  await vscode.runCommand('RepoWave: Show Insights');
  assert.deepEqual(await findings('#transcript'), []);
  assert.deepEqual(await findings('#insights'), []);
});

test('pages at work have no serious finding', async () => {
  await ask('Please wait');
  await lastTurn().getByText('37% ·').waitFor();
  assert.deepEqual(await findings('#transcript'), []);
  assert.deepEqual(await findings('#insights'), []);
  await vscode.page.keyboard.press('Escape');
  await lastTurn().getByText('Cancelled.').waitFor();
});

test('pages with an answer and an error have no serious finding in any theme', async () => {
  await ask('Please fail');
  await lastTurn().getByRole('alert').waitFor();
  await ask('Which function decides whether a file is ignored?');
  await lastTurn().getByText('First word after').waitFor();
  for (const theme of ['Light Modern', 'Dark Modern', 'Dark High Contrast', 'Light High Contrast']) {
    await vscode.chooseTheme(theme);
    const kind = `${theme.startsWith('Dark') ? 'vscode-dark' : 'vscode-light'}`;
    const contrast = theme.startsWith('Dark') ? 'vscode-high-contrast' : 'vscode-high-contrast-light';
    const shown = `body.${theme.includes('Contrast') ? contrast : kind}`;
    for (const page of ['#transcript', '#insights']) {
      await (await vscode.webviewWith(page)).locator(shown).waitFor();
    }
    assert.deepEqual(await findings('#transcript'), [], theme);
    assert.deepEqual(await findings('#insights'), [], theme);
    await vscode.screenshot(`accessibility - ${theme}`);
  }
});

test('nothing is wrong on the console', () => {
  assert.deepEqual(vscode.consoleErrors, []);
  return Promise.resolve();
});
