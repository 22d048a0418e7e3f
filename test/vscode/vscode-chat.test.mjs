// @ts-check
// VS Code's own chat, without an account: @repo, the tools and the model of its picker.
import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before } from 'node:test';
import { activeTab, openWindow, test, vscode } from './window.mjs';

before(() =>
  openWindow({
    // VS Code's own agent answers without an account, and has our model only.
    settings: { 'chat.allowAnonymousAccess': true, 'repowave.model': 'tiny' },
    env: { REPOWAVE_BACKEND: path.join(import.meta.dirname, 'fake-backend.mjs') },
  }),
);
after(() => vscode?.close());

const response = () => vscode.chatResponses.last();

test('@repo is answered at the first try, with its sources', async () => {
  const answer = await vscode.askChat('@repo Which function decides whether a file is ignored?');
  assert.match(answer, /The function decideIgnore in src\/ignore\.ts:29 decides it/);
  assert.match(answer, /Sources/);
  assert.match(answer, /Attention is what was read, not proof/);
  await vscode.screenshot('vscode-chat-1-repo');
});

test('a source opens in the editor', async () => {
  await response().locator('a', { hasText: 'constants.ts:2-5' }).click();
  await activeTab('constants.ts').waitFor();
});

test('a command of @repo says what to do with the question', async () => {
  const answer = await vscode.askChat('@repo /trace echo of a request');
  assert.match(answer, /Follow this through this repository .*: echo of a request/);
});

test('an error is said in the chat, in one sentence', async () => {
  assert.match(await vscode.askChat('@repo Please fail'), /The question is too long: please shorten it\./);
});

test('the model is in the picker and answers anyone', async () => {
  const answer = await vscode.askChat('Which function decides whether a file is ignored?');
  assert.match(answer, /The function decideIgnore/);
  await vscode.page.getByText('tiny-repo').first().waitFor();
  await vscode.screenshot('vscode-chat-2-model');
});

test('an agent finds evidence with the tool, which our model calls', async () => {
  const answer = await vscode.askChat('#evidence please look for evidence');
  assert.match(answer, /The tool says:[^]*src\/ignore\.ts:29-35 \(words\)/);
  await vscode.screenshot('vscode-chat-3-tool');
});

test('nothing is wrong on the console', () => {
  assert.deepEqual(vscode.consoleErrors, []);
  return Promise.resolve();
});
