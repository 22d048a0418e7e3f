// @ts-check
// A workspace of two folders that the user does not trust.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before } from 'node:test';
import { activeTab, ask, chat, fixture, lastTurn, openWindow, test, vscode } from './window.mjs';

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'repowave-workspace-'));

before(async () => {
  const workspace = path.join(folder, 'two.code-workspace');
  const settings = {
    'repowave.model': '/planted.gguf',
    'repowave.backend.url': 'ws://planted:1',
    'repowave.exclude': ['*.snap'],
  };
  fs.writeFileSync(workspace, JSON.stringify({ folders: [{ path: 'notes' }, { path: 'code' }], settings }));
  fs.mkdirSync(path.join(folder, 'notes'));
  fs.writeFileSync(path.join(folder, 'notes/README.md'), '# Notes\n');
  fs.cpSync(fixture, path.join(folder, 'code'), { recursive: true });
  const env = { REPOWAVE_BACKEND: path.join(import.meta.dirname, 'fake-backend.mjs') };
  await openWindow({ workspace, env, trusted: false });
});
after(async () => {
  await vscode?.close();
  fs.rmSync(folder, { recursive: true, force: true });
});

test('the chat says what it does in a workspace that is not trusted, and how that is changed', async () => {
  await vscode.runCommand('RepoWave: Ask the Repository');
  await chat().getByText('You do not trust this folder').waitFor();
  await chat().getByRole('button', { name: 'Manage Workspace Trust' }).waitFor();
});

test('of two folders the user chooses one, and its answer opens there', async () => {
  await chat().getByRole('textbox').fill('Which function decides whether a file is ignored?');
  await vscode.page.keyboard.press('Enter');
  await vscode.quickInputRows.filter({ hasText: 'code' }).click();
  await lastTurn().getByText('First word after').waitFor();
  await lastTurn().getByRole('button', { name: 'ignore.ts:29-35' }).first().click();
  await activeTab('ignore.ts').waitFor();
});

test('the workspace chooses what is read, and neither the model nor the backend', async () => {
  await ask('Which settings came?');
  const answer = lastTurn().locator('.answer').getByText('"exclude":["*.snap"]');
  await answer.waitFor();
  assert.doesNotMatch(await answer.innerText(), /planted/);
});

test('nothing is wrong on the console', () => {
  assert.deepEqual(vscode.consoleErrors, []);
  return Promise.resolve();
});
