// @ts-check
/**
 * Takes README's picture: a question about a folder in a real VS Code, with the package's own backend and model.
 *
 *   npm run package && node test/vscode/picture.mjs FOLDER QUESTION FILE.png
 *
 * The folder is read first unless it is in the store; `REPOWAVE_STORE` names another store.
 */
import fs from 'node:fs';
import path from 'node:path';
import { chat, lastTurn, node, openWindow, questionBox, vscode } from './window.mjs';

const READING = { timeout: 3_600_000 };

const [folder, question, picture] = process.argv.slice(2);
if (!folder || !question || !picture) throw new Error('Say FOLDER QUESTION FILE.png.');

await openWindow({ workspace: path.resolve(folder) });
try {
  await vscode.runCommand('RepoWave: Ask the Repository');
  await questionBox().waitFor();
  await vscode.widenSideBar(140);
  // Twice: the first answer waits for the model to be loaded, and for the repository to be read.
  for (let i = 0; i < 2; i++) {
    await vscode.runCommand('RepoWave: Clear Answers');
    await chat().locator('.turn').waitFor({ state: 'hidden' });
    await questionBox().fill(question);
    await questionBox().press('Enter');
    await chat().locator('.turn[data-status=done]').waitFor(READING);
  }
  // Its places, painted in the editor and ranked in the tree.
  await lastTurn().locator('.sources button').first().click();
  await node(/^1, .*% of the attention/).waitFor();
  await vscode.runCommand('View: Focus Active Editor Group');
  const line = await vscode.page.locator('#status\\.editor\\.selection').innerText();
  await vscode.page.keyboard.press('Control+g'); // no selection over the colours
  await vscode.typeQuickInput(`:${/\d+/.exec(line)?.[0]}`);
  await vscode.page.waitForTimeout(15_000); // what VS Code itself does with a file that has just been opened
  fs.copyFileSync(await vscode.screenshot('picture'), picture);
} finally {
  await vscode.close();
}
