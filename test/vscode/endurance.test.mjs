// @ts-check
// What the extension costs VS Code: figures to look at, which depend on the machine, and no limits.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before } from 'node:test';
import { chat, lastTurn, openWindow, questionBox, test, vscode } from './window.mjs';

const QUESTIONS = 200;

before(() => openWindow({ env: { REPOWAVE_BACKEND: path.join(import.meta.dirname, 'fake-backend.mjs') } }));
after(() => vscode?.close());

/** Resident bytes of the extension host that has started this backend. @param {number} backend its process */
function hostBytes(backend) {
  const field = (/** @type {number} */ pid, /** @type {string} */ name) =>
    Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
  return 1024 * field(field(backend, 'PPid'), 'VmRSS');
}

test(`the extension host's memory over ${QUESTIONS} questions is told`, async (t) => {
  await vscode.runCommand('RepoWave: Ask the Repository');
  await questionBox().waitFor();
  const ask = async (/** @type {string} */ question) => {
    await questionBox().fill(question);
    await questionBox().press('Enter');
    await lastTurn().getByText(question).waitFor();
    await chat().locator('.turn[data-status=done]').last().and(lastTurn()).waitFor();
  };
  await ask('Who are you?');
  const text = await lastTurn().locator('.answer').innerText();
  const backend = Number(/process (\d+)/.exec(text)?.[1]);
  const sizes = [];
  for (let asked = 0; asked <= QUESTIONS; asked++) {
    if (asked % 50 === 0) sizes.push(`${asked}: ${Math.round(hostBytes(backend) / 1e6)} MB`);
    await ask(`Which function decides whether a file is ignored, ${asked}?`);
  }
  t.diagnostic(`extension host: ${sizes.join(', ')}`);
  assert.equal(await chat().locator('.turn').count(), 30, 'older turns are forgotten');
});

test('the time of activation is told', async (t) => {
  await vscode.runCommand('Developer: Show Running Extensions');
  const row = vscode.page.locator('.runtime-extensions-editor .extension', { hasText: 'RepoWave' }).first();
  t.diagnostic(`activation: ${await row.locator('.activation-time').innerText()}`);
});
