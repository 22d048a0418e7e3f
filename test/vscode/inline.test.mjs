// @ts-check
// Conversations at lines of a file: asked with the keyboard, answered from the whole repository, kept and moved.
import assert from 'node:assert/strict';
import { activeTab, chat, inCopyOfFixture, cursorAt, status, test, vscode } from './window.mjs';

inCopyOfFixture({ 'files.autoSave': 'off' });

const thread = () => vscode.page.locator('.review-widget:visible');
const comments = () => thread().locator('.review-comment');

/** By VS Code's list of all conversations. */

/** VS Code lets a click come to nothing while the editor has not got its conversations yet. */
async function openInList(attempts = 10) {
  await vscode.page.locator('.comments-panel').getByText('Which place?').dblclick();
  const shown = thread().waitFor({ timeout: 5_000 });
  await (attempts > 1 ? shown.catch(() => openInList(attempts - 1)) : shown);
}

/** @param {string} question */
async function ask(question) {
  // With comments before it the box is a button until it is wanted.
  await thread()
    .locator('.review-thread-reply-button:visible, .comment-form .monaco-editor:visible')
    .first()
    .click();
  await vscode.page.keyboard.type(question);
  await thread().locator('.monaco-text-button', { hasText: /^Ask$/ }).click();
  await comments().filter({ hasText: question }).last().waitFor();
}

test('a question about the selected lines is answered at these lines, with its sources', async () => {
  await vscode.openFile('ignore.ts');
  await vscode.page.keyboard.press('Control+g');
  await vscode.typeQuickInput(':29');
  await cursorAt(29).waitFor();
  await vscode.page.keyboard.press('Control+Shift+Alt+R');
  await thread().waitFor();
  await ask('Which place?');
  const answer = comments().last();
  await answer.getByText('{"file":"src/ignore.ts","startLine":29,"endLine":29}').waitFor();
  await answer.getByText('Saw the files in state 3f2a91c0d4').waitFor();
  await answer.getByText('Attention is what was read, not proof.').waitFor();
});

test('a follow-up knows what was said before', async () => {
  await ask('What was said earlier?');
  await comments().last().getByText('[{"question":"Which place?"').waitFor();
  assert.equal(await comments().count(), 4);
  await ask('Which function decides?');
  await comments().last().getByText('whether a name starts with a dot').waitFor();
  await vscode.screenshot('inline-1-thread');
});

test('a link of the model to a file is text', async () => {
  const answer = comments().last();
  await answer.getByText('[outside](file:///etc/passwd)').waitFor();
  assert.equal(await answer.locator('a', { hasText: 'outside' }).count(), 0);
});

test('its answers stand in the chat too, with their place', async () => {
  await vscode.runCommand('RepoWave: Ask the Repository');
  await chat().locator('.turn').last().getByText('src/ignore.ts:29', { exact: true }).first().waitFor();
});

test('its answers have insights too', async () => {
  await vscode.runCommand('RepoWave: Show Insights');
  const insights = await vscode.webviewWith('#insights');
  await insights.getByRole('option', { name: 'Which place?' }).waitFor({ state: 'attached' });
  await vscode.runCommand('View: Hide Panel');
});

test('a source opens', async () => {
  await comments().last().locator('a', { hasText: 'src/constants.ts:2-5' }).click();
  await activeTab('constants.ts').waitFor();
  await vscode.openFile('ignore.ts');
});

test('while another question is answered it says so', async () => {
  await ask('Please wait');
  await comments().last().getByText('37% · 15,300 of 41,203 tokens').waitFor();
  await status('37% 2m10s').waitFor();
  await vscode.runCommand('RepoWave: Cancel');
  await comments().last().getByText('Cancelled.').waitFor();
});

test('it moves with edits, and is there again after a reload', async () => {
  await vscode.runCommand('View: Focus Active Editor Group');
  await vscode.page.keyboard.press('Control+Home');
  await vscode.page.keyboard.press('Enter');
  await vscode.runCommand('File: Save');
  await vscode.runCommand('Developer: Reload Window');
  await status(/RepoWave/).waitFor();
  await vscode.runCommand('Comments: Focus on Comments View');
  await vscode.page.locator('.comments-panel').getByText('[Ln 30]').waitFor();
  await openInList();
  await comments().getByText('whether a name starts with a dot').waitFor();
  await vscode.screenshot('inline-2-reloaded');
  await ask('Which place?');
  await comments().last().getByText('"startLine":30').waitFor();
});

test('it is resolved, opened again and deleted', async () => {
  // The conversation is longer than the editor: its buttons are reached by keyboard.
  const button = (/** @type {string} */ name) => thread().getByRole('button', { name }).first();
  await button('Resolve Conversation').press('Enter');
  await thread().waitFor({ state: 'hidden' });
  await openInList();
  await button('Reopen Conversation').press('Enter');
  await button('Resolve Conversation').waitFor();
  await button('Delete Conversation').press('Enter');
  await thread().waitFor({ state: 'detached' });
});

test('nothing is wrong on the console', () => {
  assert.deepEqual(vscode.consoleErrors, []);
  return Promise.resolve();
});
