// @ts-check
// Two windows on one folder, and one that is loaded again: one backend for all of them. And one on another machine.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { after, before } from 'node:test';
import { ask, chat, lastTurn, openWindow, questionBox, status, test, useWindow, vscode } from './window.mjs';

const script = path.join(import.meta.dirname, 'fake-backend.mjs');

before(() =>
  // Long enough for a window to come back.
  openWindow({ env: { REPOWAVE_BACKEND: script, REPOWAVE_LINGER: '60' } }),
);
after(() => vscode?.close());

let asked = 0;
/** The number of the process that answers this window. */
async function pidOf() {
  await ask(`Who are you, ${++asked}?`);
  const answer = lastTurn().getByText(/^I am process \d+\.$/);
  await answer.waitFor();
  return Number((await answer.innerText()).match(/\d+/)?.[0]);
}

/** @type {number} */
let pid;

test('a window that is loaded again finds its backend warm', async () => {
  pid = await pidOf();
  await vscode.page.reload();
  await status(/RepoWave/).waitFor();
  assert.equal(await pidOf(), pid);
});

test('a window that is loaded again while its repository is read asks the same one at once', async () => {
  await ask('Please wait');
  await lastTurn().getByText('37% ·').waitFor();
  await vscode.page.reload();
  await status(/RepoWave/).waitFor();
  assert.equal(await pidOf(), pid);
});

test('a second window shares the backend of the first', async () => {
  const first = vscode;
  await useWindow(await vscode.openAgain());
  // It brings the views of the first back, and takes the focus from the palette for them.
  await questionBox().waitFor();
  assert.equal(await pidOf(), pid);
  await vscode.screenshot('windows-1-second');
  await useWindow(first);
});

test('Restart gives both windows a new one, the same', async () => {
  const first = vscode;
  await vscode.runCommand('RepoWave: Restart Backend');
  const fresh = await pidOf();
  assert.notEqual(fresh, pid);
  const second = await vscode.openAgain();
  await useWindow(second);
  await questionBox().waitFor();
  assert.equal(await pidOf(), fresh);
  await second.page.close();
  await useWindow(first);
  pid = fresh;
});

test('when one window goes the other keeps its backend', async () => {
  assert.equal(await pidOf(), pid);
  await vscode.close();
  process.kill(pid);
});

test('a backend at an address is asked for a token in words, and answers once it has it', async (t) => {
  const child = spawn(process.execPath, ['--import', 'tsx', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {
      ...process.env,
      ...{ REPOWAVE_TOKEN: 'the right one', REPOWAVE_SHARE: path.join(vscode.artifactsDir, 'remote.json') },
      REPOWAVE_LINGER: '600',
    },
  });
  t.after(() => child.kill());
  const [line] = await once(child.stdout, 'data');
  const { port } = JSON.parse(String(line));
  await openWindow({
    settings: { 'repowave.backend.url': `ws://127.0.0.1:${port}` },
    env: { REPOWAVE_BACKEND: '/nowhere' },
  });
  await ask('Is anybody there?');
  await lastTurn().getByRole('alert').getByText('wants a token: enter the one that it printed').waitFor();
  await lastTurn().getByRole('button', { name: 'Enter Token…' }).click();
  await vscode.typeQuickInput('a wrong one');
  await vscode.notification('refuses the token').waitFor();
  await ask('And now?');
  await lastTurn().getByRole('alert').getByText('refuses the token').waitFor();
  await vscode.screenshot('windows-2-refused');
  await lastTurn().getByRole('button', { name: 'Enter Token…' }).click();
  await vscode.typeQuickInput('the right one');
  await chat().getByText('Is anybody there?').first().waitFor();
  assert.equal(await pidOf(), child.pid);
});

test('nothing is wrong on the console but what was refused', () => {
  assert.deepEqual(
    vscode.consoleErrors.filter((error) => !error.includes('refuses the token')),
    [],
  );
  return Promise.resolve();
});
