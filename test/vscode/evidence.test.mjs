// @ts-check
// What an answer was read from: in the tree, in editors, in the explorer and sentence by sentence, with a backend
// whose numbers are known.
import assert from 'node:assert/strict';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { after, before } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import {
  activeTab,
  ask,
  chat,
  cursorAt,
  lastTurn,
  node,
  openWindow,
  questionBox,
  test,
  vscode,
} from './window.mjs';

before(() => openWindow({ env: { REPOWAVE_BACKEND: path.join(import.meta.dirname, 'fake-backend.mjs') } }));
after(() => vscode?.close());

const STRONGEST = '1, src/ignore.ts:29-35, 62% of the attention';
const SENTENCE_3 =
  /^Sentence 3 +whether a folder of the path is one of the built-in folders,: 2 places with 70%/;
const welcome = () => vscode.page.getByText('What an answer was read from appears here: ask a question.');

/**
 * Waits until the window shows what it shall.
 * @template T @param {() => Promise<T>} look @param {T} expected
 */
async function eventually(look, expected) {
  const deadline = Date.now() + 30_000;
  for (;;) {
    const found = await look();
    if (isDeepStrictEqual(found, expected)) return;
    if (Date.now() > deadline) assert.deepEqual(found, expected);
    await sleep(100);
  }
}

/** Exactly these lines are painted. @param {number[]} lines @param {string} bar */
const painted = (lines, bar = 'solid') =>
  eventually(() => vscode.decoratedLines(), Object.fromEntries(lines.map((line) => [line, bar])));

/** @param {string} file @param {string} badge */
const badge = (file, badge) => eventually(() => vscode.explorerBadge(file), badge);

test('before the first answer the view says what it is for', async () => {
  await vscode.runCommand('RepoWave: Ask the Repository');
  await questionBox().and(chat().locator(':focus')).waitFor();
  await welcome().waitFor();
});

test('an answer stands in the tree with its places by rank, and a place opens with its lines painted', async () => {
  await ask('Which function decides whether a file is ignored?');
  await lastTurn().getByText('First word after').waitFor();
  await node('Which function decides whether a file is ignored?: 3 places with 84%').waitFor();
  await node('2, src/constants.ts:2-5, 21% of the attention').waitFor();
  await vscode.page.getByText('Attention is what was read, not proof.').first().waitFor();
  await node(STRONGEST).click();
  await activeTab('ignore.ts').waitFor();
  await cursorAt(35).waitFor();
  await painted([29, 30, 31, 32, 33, 34, 35]);
});

test('the hover has the numbers, and which sentence read the lines', async () => {
  const text = await vscode.editorHover('const text = line.trim');
  assert.match(text, /Evidence 1 of 3: 62% of the attention that the answer paid to the repository/);
  assert.match(text, /Read for: Sentence 1, Sentence 3/);
  assert.match(text, /not proof/);
});

test('the keyboard goes to the next evidence by rank, and back', async () => {
  await vscode.page.keyboard.press('Escape');
  await vscode.page.keyboard.press('Alt+F9');
  await activeTab('constants.ts').waitFor();
  await cursorAt(5).waitFor();
  await painted([2, 3, 4, 5]);
  await vscode.page.keyboard.press('Shift+Alt+F9');
  await activeTab('ignore.ts').waitFor();
  await cursorAt(35).waitFor();
});

test('the explorer has the share of each file', async () => {
  await vscode.runCommand('File: Reveal Active File in Explorer View');
  await badge('ignore.ts', '62');
  await badge('constants.ts', '21');
  await badge('walk.ts', '');
  await vscode.screenshot('evidence-1-answer');
});

test('pointing at a sentence shows what it was read from, as long as the pointer is there', async () => {
  await lastTurn().getByText('built-in folders').hover();
  await painted([31]);
  await node(SENTENCE_3).and(vscode.page.locator('[aria-selected=true]')).waitFor();
  await node('1, src/ignore.ts:31, 40% of the attention').waitFor();
  await vscode.screenshot('evidence-2-sentence');
  await questionBox().hover();
  await painted([29, 30, 31, 32, 33, 34, 35]);
});

test('the number behind a sentence keeps it shown, by keyboard too, until it is pressed again', async () => {
  const number = lastTurn().getByRole('button', { name: 'Evidence of sentence 3' });
  await number.focus();
  await painted([31]);
  await vscode.page.keyboard.press('Enter');
  await lastTurn().getByRole('button', { name: 'Evidence of sentence 3', pressed: true }).waitFor();
  await questionBox().focus();
  await painted([31]);
  await number.click();
  await lastTurn().getByRole('button', { name: 'Evidence of sentence 3', pressed: false }).waitFor();
  await questionBox().hover();
  await questionBox().focus();
  await painted([29, 30, 31, 32, 33, 34, 35]);
  assert.equal(await lastTurn().getByRole('button', { name: 'Evidence of sentence 2' }).count(), 0);
});

test('selecting text in the answer shows the evidence of its sentence, and a node of the tree all of it', async () => {
  await lastTurn().getByText('built-in folders').dblclick();
  await lastTurn().getByRole('button', { name: 'Evidence of sentence 3', pressed: true }).waitFor();
  await questionBox().click();
  await painted([31]);
  await node(/^Which function decides/).click();
  await painted([29, 30, 31, 32, 33, 34, 35]);
});

test('a sentence is verified: how much less likely it is without what it was read from', async () => {
  await vscode.pressOn(node(SENTENCE_3), 'Verify Sentence');
  await node(
    '−0.82 nats a token when hidden: the sentence rests on it, without src/ignore.ts, src/constants.ts, 3k tokens',
  ).waitFor();
  await vscode.screenshot('evidence-3-verified');
  await node(/^Which function decides/)
    .last()
    .click();
  await painted([29, 30, 31, 32, 33, 34, 35]);
});

test('painted lines move with edits above them, and edited ones are marked as such until that is undone', async () => {
  await vscode.runCommand('View: Focus Active Editor Group');
  await vscode.page.keyboard.press('Control+Home');
  await vscode.page.keyboard.press('Enter');
  await painted([30, 31, 32, 33, 34, 35, 36]);
  await vscode.page.keyboard.press('Control+z');
  await painted([29, 30, 31, 32, 33, 34, 35]);
  await vscode.runCommand('RepoWave: Next Evidence');
  await cursorAt(35).waitFor();
  await vscode.page.keyboard.press('End');
  await vscode.page.keyboard.type('}');
  await painted([29, 30, 31, 32, 33, 34, 35], 'dotted');
  await vscode.page.keyboard.press('Control+z');
  await painted([29, 30, 31, 32, 33, 34, 35]);
});

test('the heat map can be taken away and brought back', async () => {
  await vscode.runCommand('RepoWave: Toggle Evidence Heat Map');
  await painted([]);
  await vscode.runCommand('RepoWave: Toggle Evidence Heat Map');
  await painted([29, 30, 31, 32, 33, 34, 35]);
});

test('evidence is copied as text', async () => {
  await vscode.runCommand('RepoWave: Copy Evidence');
  await questionBox().click();
  await vscode.page.keyboard.press('Control+v');
  const places = '- src/ignore.ts:29-35 62%\n- src/constants.ts:2-5 21%\n- ../secret.txt:1 1%';
  const question = 'Which function decides whether a file is ignored?';
  const copied = `${question}\n\n${places}\n\nAttention is what was read, not proof.`;
  await eventually(() => questionBox().inputValue(), copied);
  await questionBox().fill('');
});

test('with the answers their evidence is gone from everywhere', async () => {
  await vscode.runCommand('RepoWave: Clear Answers');
  await welcome().waitFor();
  await painted([]);
  await badge('ignore.ts', '');
});

test('nothing is wrong on the console', () => {
  assert.deepEqual(vscode.consoleErrors, []);
  return Promise.resolve();
});
