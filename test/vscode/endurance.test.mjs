// @ts-check
// What the extension costs VS Code: figures to look at, which depend on the machine, and no limits.
import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before } from 'node:test';
import { attachToProcess, parentOf } from './inspect.mjs';
import { chat, lastTurn, openWindow, questionBox, test, vscode } from './window.mjs';

const QUESTIONS = 200;

before(() => openWindow({ env: { REPOWAVE_BACKEND: path.join(import.meta.dirname, 'fake-backend.mjs') } }));
after(() => vscode?.close());

/** Keeps how long the page's main thread was busy, where it was for more than 50 ms: the browser's own measure. */
const watchLongTasks = () =>
  chat()
    .locator('body')
    .evaluate(({ ownerDocument }) => {
      const page = /** @type {any} */ (ownerDocument.defaultView);
      page.longTasks = [];
      new page.PerformanceObserver((/** @type {PerformanceObserverEntryList} */ list) =>
        page.longTasks.push(...list.getEntries().map(({ duration }) => duration)),
      ).observe({ entryTypes: ['longtask'] });
    });

/** @returns {Promise<number[]>} milliseconds */
const longTasks = () =>
  chat()
    .locator('body')
    .evaluate(({ ownerDocument }) => /** @type {any} */ (ownerDocument.defaultView).longTasks);

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
  const host = await attachToProcess(parentOf(backend));
  t.after(() => host.close());
  await watchLongTasks();
  const megabytes = (/** @type {number} */ bytes) => (bytes / 1e6).toFixed(1);
  for (let asked = 0; asked <= QUESTIONS; asked++) {
    if (asked % 50 === 0) {
      // What is resident holds what nobody needs any more and V8 has not collected yet; the heap is what is kept.
      const { rss } = await host.memory();
      await host.collectGarbage();
      const kept = await host.memory();
      t.diagnostic(
        `${asked} questions: resident ${megabytes(rss)} MB; once collected ${megabytes(kept.rss)} MB, of it heap ${megabytes(kept.heapUsed)} MB`,
      );
    }
    await ask(`Which function decides whether a file is ignored, ${asked}?`);
  }
  assert.equal(await chat().locator('.turn').count(), 30, 'older turns are forgotten');
  const tasks = await longTasks();
  t.diagnostic(
    `the page was busy for more than 50 ms at a time ${tasks.length} times, at most ${Math.max(0, ...tasks)} ms`,
  );
});

test('the time of activation is told', async (t) => {
  await vscode.runCommand('Developer: Show Running Extensions');
  const row = vscode.page.locator('.runtime-extensions-editor .extension', { hasText: 'RepoWave' }).first();
  t.diagnostic(`activation: ${await row.locator('.activation-time').innerText()}`);
});
