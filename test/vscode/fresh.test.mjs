// @ts-check
// What becomes of the files after they were read: counted, named under the answers, and read again when they are saved.
import fs from 'node:fs';
import path from 'node:path';
import { ask, chat, inCopyOfFixture, lastTurn, status, test, vscode } from './window.mjs';

const workspace = inCopyOfFixture({ 'files.autoSave': 'off' });

/** Types at the top of a file of the workspace. @param {string} file @param {string} text */
async function type(file, text) {
  await vscode.openFile(file);
  await vscode.page.keyboard.press('Control+Home');
  await vscode.page.keyboard.type(text);
}

test('an answer says which state of the files it saw', async () => {
  await ask('Which function decides?');
  await lastTurn().getByText('Saw the files in state 3f2a91c0d4').waitFor();
  await status(/41k\/1M$/).waitFor();
});

test('an unsaved change is counted, and the next answer says that it did not see it', async () => {
  await type('ignore.ts', '// new ');
  await status('41k/1M +1 stale').waitFor();
  await ask('And now?');
  await lastTurn().getByText('without the unsaved changes of src/ignore.ts').waitFor();
  await vscode.screenshot('fresh-1-unsaved');
});

test('a file that is saved is read again, and is stale no more', async () => {
  await vscode.openFile('ignore.ts');
  await vscode.runCommand('File: Save');
  await status(/41k\/1M$/).waitFor();
});

test('a change by another program is noticed, named, and read on a click', async () => {
  fs.appendFileSync(path.join(workspace, 'src/walk.ts'), '// elsewhere\n');
  await status('41k/1M +1 stale').waitFor();
  await chat().getByText('1 changed since').waitFor();
  await vscode.screenshot('fresh-2-stale');
  await status('+1 stale').click();
  await status(/41k\/1M$/).waitFor();
});

test('a question does not wait for what is read in the background', async () => {
  await type('constants.ts', '// new ');
  await vscode.runCommand('File: Save');
  await status('+1 stale').waitFor();
  await ask('Do you answer?');
  await lastTurn().getByText('First word after').waitFor();
});
