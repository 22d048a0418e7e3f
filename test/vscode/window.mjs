// @ts-check
/** What the tests in a real VS Code share: the packaged extension in a window, and pictures of failures. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, test as nodeTest } from 'node:test';
import { VSCode } from '../harness/driver.mjs';

const root = path.resolve(import.meta.dirname, '../..');
export const artifactsDir = path.join(root, 'artifacts');
export const fixture = path.join(root, 'test/fixtures/workspace');
export const extensionId = 'repowave.repowave';

/** @type {VSCode} */
export let vscode;

/**
 * Opens a window with the extension as users get it.
 * @param {Partial<Parameters<typeof VSCode.launch>[0]>} options
 */
export async function openWindow(options) {
  const extension = process.env.REPOWAVE_VSIX ?? path.join(root, 'build/repowave-linux-x64.vsix');
  // A shared backend outlives its window, but not these tests.
  const env = { REPOWAVE_LINGER: '1', ...options.env };
  vscode = await VSCode.launch({ extension, workspace: fixture, artifactsDir, ...options, env });
  await status(/RepoWave/).waitFor();
}

/** From now on the steps are done in this window: one behind another is not drawn. @param {VSCode} window */
export async function useWindow(window) {
  vscode = window;
  await window.page.bringToFront();
}

/**
 * A window on a copy of the fixture, which the tests of a file may change, with the scripted backend.
 * @param {Record<string, unknown>} [settings] of the user @returns {string} the copy's folder
 */
export function inCopyOfFixture(settings) {
  const workspace = fs.mkdtempSync(path.join(os.tmpdir(), 'repowave-workspace-'));
  fs.cpSync(fixture, workspace, { recursive: true });
  const env = { REPOWAVE_BACKEND: path.join(import.meta.dirname, 'fake-backend.mjs') };
  before(() => openWindow({ workspace, settings, env }));
  after(async () => {
    await vscode?.close();
    fs.rmSync(workspace, { recursive: true, force: true });
  });
  return workspace;
}

/** A line of a tree, as screen readers say it. @param {string | RegExp} name */
export const node = (name) => vscode.page.getByRole('treeitem', { name });

let failed = false;

/**
 * A step in the window. It leaves a picture behind when it fails, and the steps after it are skipped.
 * @param {string} name @param {(context: import('node:test').TestContext) => Promise<void>} body
 */
export function test(name, body) {
  return nodeTest(name, async (context) => {
    if (failed) return context.skip('an earlier step failed');
    try {
      await body(context);
    } catch (error) {
      failed = true;
      await vscode.screenshot(`failed - ${name}`);
      throw error;
    }
  });
}

/** The chat's page. */
export const chat = () => vscode.webview(extensionId);
export const questionBox = () => chat().getByRole('textbox', { name: 'Question about the repository' });
/** The newest question with its answer. */
export const lastTurn = () => chat().locator('.turn').last();

/** @param {string | RegExp} text */
export const status = (text) => vscode.statusBarItem(text);

/** Asks as users do: by the palette, the keyboard, Enter. @param {string} question */
export async function ask(question) {
  await vscode.runCommand('RepoWave: Ask the Repository');
  await questionBox().and(chat().locator(':focus')).waitFor();
  await vscode.page.keyboard.type(question);
  await vscode.page.keyboard.press('Enter');
  await lastTurn().getByText(question).first().waitFor();
}

/** The editor tab that is in front, if it has this name. @param {string} name */
export const activeTab = (name) => vscode.page.getByRole('tab', { selected: true, name });

/** The line at the cursor, as the status bar says it. @param {number} line */
export const cursorAt = (line) =>
  vscode.page.locator('#status\\.editor\\.selection').filter({ hasText: `Ln ${line}` });
