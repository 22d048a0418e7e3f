// @ts-check
// From a window without a folder to an answer that is exported, as someone who has just installed the extension goes.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before } from 'node:test';
import { ask, chat, lastTurn, openWindow, status, test, vscode } from './window.mjs';

const env = { REPOWAVE_BACKEND: path.join(import.meta.dirname, 'fake-backend.mjs') };

before(() => openWindow({ env, workspace: undefined }));
after(() => vscode?.close());

const rows = () => vscode.quickInputRows;
const dialog = () => vscode.page.locator('.monaco-dialog-box:visible');
/** @param {string} title */
const pick = async (title) => rows().filter({ hasText: title }).first().click();
/** @param {string} name */
const press = (name) => dialog().getByRole('button', { name, exact: true }).click();

test('without a folder the chat says so, and how to get one', async () => {
  await vscode.runCommand('RepoWave: Ask the Repository');
  await chat().getByRole('heading', { name: 'Open a folder' }).waitFor();
  await chat().getByRole('button', { name: 'Open Folder' }).waitFor();
  await vscode.screenshot('first-run-1-no-folder');
  await vscode.close();
});

test('the walkthrough leads from the machine to the evidence', async () => {
  await openWindow({ env });
  await vscode.runCommand('View: Toggle Secondary Side Bar Visibility');
  await vscode.runCommand('RepoWave: Get Started');
  const steps = vscode.page.locator('.getting-started-step .step-title');
  await steps.filter({ hasText: 'Read the evidence' }).waitFor();
  assert.deepEqual(await steps.allInnerTexts(), [
    'Check this machine',
    'Choose a model',
    'Decide what is read',
    'Ask your first question',
    'Read the evidence',
  ]);
  const picture = vscode.page.locator('iframe.webview:visible').first().contentFrame();
  await picture.frameLocator('#active-frame').getByRole('heading', { name: 'What it needs' }).waitFor();
  await vscode.screenshot('first-run-2-walkthrough');
});

test('the check of the machine predicts how long the folder will take', async () => {
  await vscode.page.getByRole('button', { name: 'Check This Machine', exact: true }).click();
  const time = rows().filter({ hasText: '16m40s, predicted to a factor of two' });
  await time.filter({ hasText: 'This folder: about 100k tokens at 100 tokens/s' }).waitFor();
  await rows().filter({ hasText: '8 GB, 4 GB of it free' }).waitFor();
  await vscode.screenshot('first-run-3-machine');
  await vscode.page.keyboard.press('Escape');
  await vscode.page
    .locator('.getting-started-step', { hasText: 'Check this machine' })
    .locator('.codicon.complete')
    .waitFor();
});

test('a download shows how far it is, and can be cancelled', async () => {
  await vscode.runCommand('RepoWave: Select Model…');
  await rows().filter({ hasText: 'Usual 0.5B' }).filter({ hasText: '491 MB · Apache-2.0' }).waitFor();
  await vscode.screenshot('first-run-4-models');
  await pick('Slow 1.5B');
  const download = vscode.notification('Downloading Slow 1.5B');
  await download.filter({ hasText: '42% · 206 MB of 491 MB' }).waitFor();
  await vscode.screenshot('first-run-5-download');
  await download.getByRole('button', { name: 'Cancel' }).click();
  await download.waitFor({ state: 'hidden' });
});

test('a model that is not open source is downloaded once its licence was opened and accepted', async () => {
  await vscode.runCommand('RepoWave: Select Model…');
  await pick('Closed 270M');
  await dialog().getByText('its licence is the Closed Terms').waitFor();
  assert.equal(await dialog().getByRole('button', { name: 'Accept and Download' }).count(), 0);
  await vscode.screenshot('first-run-6-licence');
  await press('Read the Licence');
  // VS Code asks before it opens an address.
  await dialog().getByText('open the external website').waitFor();
  await press('Cancel');
  await press('Accept and Download');
  await vscode.notification('Closed 270M answers from now on.').waitFor();
  await ask('Which settings?');
  await lastTurn().getByText('"model":"closed"').waitFor();
});

test('a model file of the user answers once it is chosen in the dialog', async (t) => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'repowave-own-'));
  t.after(() => fs.rmSync(folder, { recursive: true }));
  const file = path.join(folder, 'own.gguf');
  fs.writeFileSync(file, '');
  fs.writeFileSync(path.join(folder, 'other.txt'), '');
  await vscode.runCommand('RepoWave: Import Model File…');
  await vscode.chooseFile(file);
  await vscode.notification('own.gguf answers from now on.').waitFor();
  await ask('Which settings?');
  await lastTurn().getByText(`"model":"${file}"`).waitFor();
  await vscode.runCommand('RepoWave: Select Model…');
  await pick('Closed 270M');
  await vscode.notification('Closed 270M answers from now on.').waitFor();
});

test('a downloaded model is verified', async () => {
  await vscode.runCommand('RepoWave: Verify Model…');
  assert.equal(await rows().filter({ hasText: 'Usual 0.5B' }).count(), 0);
  await pick('Closed 270M');
  await vscode.notification('Closed 270M is whole.').waitFor();
});

test('an answer is exported with its sources', async () => {
  await ask('Which function decides whether a file is ignored?');
  await lastTurn().getByText('First word after').waitFor();
  await vscode.runCommand('RepoWave: Export Answer…');
  await pick('Which function decides');
  await pick('New Editor');
  await vscode.page.locator('.view-line', { hasText: '# Which function decides' }).first().waitFor();
  await vscode.page.locator('.view-line', { hasText: '[src/constants.ts:2-5]' }).waitFor();
  await vscode.screenshot('first-run-7-export');
});

test('the diagnostics tell what differs, and not whose home folder it is', async () => {
  await vscode.runCommand('RepoWave: Copy Diagnostics');
  const copied = vscode.notification('The diagnostics are on the clipboard.');
  await copied.getByRole('button', { name: 'Show' }).click();
  const line = (/** @type {string} */ text) => vscode.page.locator('.view-line', { hasText: text }).first();
  await line('RepoWave diagnostics').waitFor();
  await line('NOT OK Models: none in ~/models').waitFor();
  await line('repowave.model: "closed"').waitFor();
  assert.equal(await line(os.homedir()).count(), 0);
  await vscode.screenshot('first-run-8-diagnostics');
});

test('without its model the chat offers to choose one', async () => {
  await vscode.runCommand('RepoWave: Remove Model…');
  await pick('Closed 270M');
  await press('Remove');
  await vscode.runCommand('RepoWave: Clear Answers');
  await chat().getByRole('heading', { name: 'Choose a model' }).waitFor();
  await vscode.screenshot('first-run-9-no-model');
  await chat().getByRole('button', { name: 'Select Model…' }).click();
  await pick('Tiny 1M');
  await chat().getByRole('heading', { name: 'Ask the repository' }).waitFor();
});

test('a backend that cannot run is said to have stopped, with the way on', async () => {
  for (let crash = 0; crash < 5; crash++) {
    await ask(`Please crash, ${crash}`);
    await lastTurn().getByRole('alert').waitFor();
  }
  await status('RepoWave').and(vscode.page.locator('.error-kind')).waitFor();
  await vscode.runCommand('RepoWave: Clear Answers');
  await chat().getByRole('heading', { name: 'The backend has stopped' }).waitFor();
  await vscode.screenshot('first-run-10-stopped');
  await chat().getByRole('button', { name: 'Restart Backend' }).click();
  await chat().getByRole('heading', { name: 'Ask the repository' }).waitFor();
});

test('nothing is wrong on the console', () => {
  assert.deepEqual(vscode.consoleErrors, []);
  return Promise.resolve();
});
