// @ts-check
// The extension in a real VS Code with a backend that does what the question says: fast, and it can fail at will.
import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before } from 'node:test';
import {
  activeTab,
  ask,
  chat,
  cursorAt,
  lastTurn,
  openWindow,
  questionBox,
  status,
  test,
  vscode,
} from './window.mjs';

before(() =>
  openWindow({
    settings: { 'repowave.model': 'tiny', 'repowave.exclude': ['*.snap'] },
    env: { REPOWAVE_BACKEND: path.join(import.meta.dirname, 'fake-backend.mjs') },
  }),
);
after(() => vscode?.close());

test('an empty chat says what it does, and no backend runs yet', async () => {
  await vscode.runCommand('RepoWave: Ask the Repository');
  await chat().getByRole('heading', { name: 'Ask the repository' }).waitFor();
  await chat().getByRole('button', { name: 'What does this project do?' }).waitFor();
  await vscode.screenshot('chat-1-empty');
});

test('progress always has numbers, and Cancel ends it', async () => {
  await ask('Please wait');
  await lastTurn().getByText('37% · 15,300 of 41,203 tokens · 1,240 tokens/s · 2m10s left').waitFor();
  await status('37% 2m10s').waitFor();
  await vscode.screenshot('chat-2-progress');
  await chat().getByRole('button', { name: 'Cancel' }).click();
  await lastTurn().getByText('Cancelled.').waitFor();
  await status(/^\s*RepoWave/).waitFor();
});

test('an answer comes with its sources, and HTML in it stays text', async () => {
  await ask('Which function decides whether a file is ignored?');
  await lastTurn().getByText('First word after 0.8 s · 38 tokens/s').waitFor();
  await lastTurn().locator('.answer li').getByText('built-in folders').waitFor();
  await lastTurn().locator('.hljs-keyword').first().waitFor();
  assert.equal(await lastTurn().locator('img, a').count(), 0);
  await chat().getByText('41,203 tokens, 120 files, 1 left out').click();
  await chat().getByText('package-lock.json: lock file').waitFor();
  await status('41k/1M').waitFor();
  assert.match(await vscode.statusBarTooltip('41k/1M'), /41,203 of 1,000,000 tokens in context, 120 files/);
  await vscode.screenshot('chat-3-answer');
});

test('links in the text and in the list of sources open the editor at their lines', async () => {
  await lastTurn()
    .getByRole('button', { name: /^constants.ts:2-5/ })
    .click();
  await activeTab('constants.ts').waitFor();
  await cursorAt(5).waitFor();
  await lastTurn().locator('.answer').getByRole('button', { name: 'src/ignore.ts:29' }).click();
  await activeTab('ignore.ts').waitFor();
  await cursorAt(29).waitFor();
  await vscode.screenshot('chat-4-citation');
});

test('a citation outside the folder is not opened', async () => {
  await lastTurn()
    .getByRole('button', { name: /^secret.txt/ })
    .click();
  await vscode.notification('secret.txt is not in the folder any more').waitFor();
});

test('the settings go along with a question', async () => {
  await ask('Which settings?');
  const settings = {
    ...{ model: 'tiny', include: [], exclude: ['*.snap'] },
    ...{ mode: 'auto', gate: 'auto', others: 'estimate', budget: 0.02 },
  };
  await lastTurn().getByText(JSON.stringify(settings)).waitFor();
});

test('the selected word becomes part of the question', async () => {
  await vscode.openFile('report.ts');
  await vscode.page.keyboard.press('Control+Home');
  await vscode.page.keyboard.press('Control+Shift+ArrowRight');
  await vscode.page.keyboard.press('Control+Alt+R');
  await questionBox().and(chat().locator(':focus')).waitFor();
  assert.equal(await questionBox().inputValue(), '`import` ');
  await questionBox().fill('');
});

test('an error is one sentence with a button that asks again', async () => {
  await ask('Please fail');
  const problem = lastTurn().getByRole('alert');
  await problem.getByText('The question is too long: please shorten it.').waitFor();
  await vscode.screenshot('chat-5-error');
  const turns = await chat().locator('.turn').count();
  await problem.getByRole('button', { name: 'Try Again' }).click();
  await chat().locator('.turn').nth(turns).getByRole('alert').waitFor();
});

test('the chat keeps its answers and its draft while it is hidden', async () => {
  await questionBox().fill('half a question');
  await vscode.runCommand('View: Toggle Secondary Side Bar Visibility');
  await vscode.page.locator('iframe.webview:visible').waitFor({ state: 'hidden' });
  await vscode.runCommand('RepoWave: Ask the Repository');
  await chat().getByText('First word after 0.8 s').first().waitFor();
  assert.equal(await questionBox().inputValue(), 'half a question');
  await questionBox().fill('');
});

test('a backend that dies is started again, and the next question is answered', async () => {
  await ask('Please crash');
  await lastTurn()
    .getByRole('alert')
    .getByText(/The backend stopped \(signal SIGKILL\)/)
    .waitFor();
  await ask('And now?');
  await lastTurn().getByText('First word after').waitFor();
});

test('a backend that keeps dying is given up, until the user restarts it', async () => {
  for (let crash = 1; crash < 5; crash++) {
    await ask(`Please crash, ${crash}`);
    await lastTurn().getByRole('alert').waitFor();
  }
  const error = vscode.page.locator('#repowave\\.repowave\\.repowave\\.status.error-kind');
  await error.waitFor();
  await vscode.screenshot('chat-6-given-up');
  await error.click();
  await status('41k/1M').waitFor();
  await ask('Are you back?');
  await lastTurn().getByText('First word after').waitFor();
});

test('Clear Answers empties the chat', async () => {
  await vscode.runCommand('RepoWave: Clear Answers');
  await chat().getByRole('heading', { name: 'Ask the repository' }).waitFor();
});

test('nothing is wrong on the console', () => {
  assert.deepEqual(vscode.consoleErrors, []);
  return Promise.resolve();
});
