// @ts-check
// The main job in a real VS Code, with everything from the package: backend, addon, and a small real model.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before } from 'node:test';
import { activeTab, ask, chat, lastTurn, node, openWindow, status, test, vscode } from './window.mjs';

const PREFILL = /^\d+% · [\d,]+ of [\d,]+ tokens · [\d,]+ tokens\/s · \d.* left$/;
/** A model on two busy cores. */
const PATIENCE = { timeout: 240_000 };

const store = fs.mkdtempSync(path.join(os.tmpdir(), 'repowave-store-'));

before(() =>
  openWindow({
    settings: { 'repowave.model': process.env.REPOWAVE_TEST_MODEL ?? 'smollm2-135m' },
    // An empty store, so that there is something to read; the addon is the packaged one.
    env: { REPOWAVE_STORE: store, REPOWAVE_NATIVE: undefined },
  }),
);
after(async () => {
  await vscode?.close();
  fs.rmSync(store, { recursive: true, force: true });
});

async function openFirstSource() {
  const source = lastTurn().locator('.sources button').first();
  const name = (await source.locator('.name').innerText()).replace(/:.*/, '');
  await source.click();
  await activeTab(name).waitFor();
}

test('a question by the palette is answered, word by word', async () => {
  await ask('Which function decides whether a file is ignored, and what does it check?');
  assert.match(await lastTurn().locator('.progress').innerText(), /\d/);
  await lastTurn().getByText(PREFILL).waitFor(PATIENCE);
  await vscode.screenshot('ask-1-progress');
  await lastTurn().locator('.answer p').first().waitFor(PATIENCE);
  await chat().locator('.turn[data-status=done]').waitFor(PATIENCE);
  assert.match(
    await lastTurn().locator('.note').last().innerText(),
    /First word after [\d.]+ s · [\d,]+ tokens\/s/,
  );
  await vscode.screenshot('ask-2-answer');
});

test('what the model has before it stands below the question box and in the status bar', async () => {
  const scope = await chat().locator('#scope summary').innerText();
  assert.match(scope, /^\d,\d{3} tokens, 7 files, 1 left out$/);
  await status(/^\s*\d+k\/\d+(\.\d)?[kM]/).waitFor();
});

test('a source opens in the editor', async () => {
  await openFirstSource();
  await vscode.screenshot('ask-3-citation');
});

test('asked again, the repository is not read again', async () => {
  // Every title of a progress line that the page shows from now on.
  const titles = await chat()
    .locator('#transcript')
    .evaluateHandle((transcript) => {
      const seen = new Set(/** @type {string[]} */ ([]));
      new MutationObserver(() => {
        for (const title of transcript.querySelectorAll('.progress .title'))
          seen.add(title.textContent ?? '');
      }).observe(transcript, { subtree: true, childList: true });
      return seen;
    });
  await ask('What is the largest size of a file, in bytes?');
  await chat().locator('.turn[data-status=done]').nth(1).waitFor(PATIENCE);
  const seen = await titles.evaluate((set) => [...set]);
  assert.ok(seen.length > 0);
  assert.ok(!seen.includes('Reading the repository'), seen.join(', '));
  await openFirstSource();
  await vscode.screenshot('ask-4-again');
});

test('what is read is counted by the model, folder by folder', async () => {
  await vscode.runCommand('RepoWave: Show Context Budget');
  await node(/^src, \d,\d{3} tokens, 5 files/).waitFor(PATIENCE);
  await node('package-lock.json, left out: lock file').waitFor();
  await vscode.screenshot('ask-5-budget');
});

test('a sentence is verified: it is scored again without what it was read from', async () => {
  await vscode.runCommand('RepoWave: Focus on Evidence View');
  // The sentences are last, below what the view has room for.
  await vscode.page.keyboard.press('End');
  await vscode.pressOn(node(/^Sentence \d+ /).last(), 'Verify Sentence');
  await node(/^[−+]\d+\.\d\d nats a token when hidden: .*, without .*, \dk tokens$/).waitFor(PATIENCE);
  await vscode.screenshot('ask-6-verified');
});

test('nothing is wrong on the console', () => {
  assert.deepEqual(vscode.consoleErrors, []);
  return Promise.resolve();
});
