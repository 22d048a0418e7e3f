// @ts-check
// What does not happen every day, to the chat in a window of which VS Code's own AI features are switched off.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { activeTab, ask, inCopyOfFixture, lastTurn, test, vscode } from './window.mjs';

const workspace = inCopyOfFixture({ 'chat.disableAIFeatures': true });

const source = (/** @type {string} */ name) => lastTurn().locator('.sources').getByRole('button', { name });

test('an answer comes without the AI features of VS Code', async () => {
  await ask('Which function decides whether a file is ignored?');
  await lastTurn().getByText('First word after').waitFor();
  await source('ignore.ts:29-35').click();
  await activeTab('ignore.ts').waitFor();
  await vscode.runCommand('View: Close Editor');
});

test('a file that was renamed or deleted since its answer is said to be gone, and not opened', async () => {
  fs.renameSync(path.join(workspace, 'src/ignore.ts'), path.join(workspace, 'src/renamed.ts'));
  fs.rmSync(path.join(workspace, 'src/constants.ts'));
  for (const file of ['ignore.ts:29-35', 'constants.ts:2-5']) {
    await source(file).click();
    const [name] = file.split(':');
    await vscode.notification(`src/${name} is not in the folder any more, so it cannot be shown.`).waitFor();
  }
  assert.equal(await vscode.page.getByRole('tab', { name: /^(ignore|constants)\.ts/ }).count(), 0);
});

test('text that runs from right to left does so, and Chinese is sent as it is', async () => {
  await ask('哪个函数决定忽略文件？ echo');
  await lastTurn().locator('.answer').getByText('哪个函数决定忽略文件？ echo').waitFor();
  await ask('איזו פונקציה מחליטה? echo');
  const text = lastTurn().locator('.answer p');
  await text.waitFor();
  const gaps = await text.evaluate((paragraph) => {
    const range = document.createRange();
    range.selectNodeContents(paragraph);
    const [outer, inner] = [paragraph.getBoundingClientRect(), range.getBoundingClientRect()];
    return { left: inner.left - outer.left, right: outer.right - inner.right };
  });
  assert.ok(gaps.right < 1 && gaps.left > 1, JSON.stringify(gaps));
});

test('at 200 % nothing is cut off', async () => {
  const size = vscode.page.viewportSize() ?? assert.fail();
  await vscode.page.setViewportSize({ width: size.width / 2, height: size.height / 2 });
  await ask('Which function decides whether a file is ignored?');
  await lastTurn().getByText('First word after').waitFor();
  const page = await vscode.webviewWith('#transcript');
  await page.waitForFunction((width) => innerWidth < width, size.width / 4);
  const { wide, shown } = await page.evaluate(() => ({
    wide: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    shown: document.getElementById('send')?.getBoundingClientRect().bottom ?? Infinity,
  }));
  assert.equal(wide, 0);
  assert.ok(shown <= (await page.evaluate(() => innerHeight)));
  await vscode.screenshot('edges-1-zoomed');
  await vscode.page.setViewportSize(size);
});

test('nothing is wrong on the console', () => {
  assert.deepEqual(
    vscode.consoleErrors.filter((error) => !error.includes('is not in the folder any more')),
    [],
  );
  return Promise.resolve();
});
