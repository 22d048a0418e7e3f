// @ts-check
/**
 * Starts a real VS Code (code-server) in a headless Chromium and drives it as a user would.
 *
 *   const vscode = await VSCode.launch({ extension: 'dist/my.vsix', workspace: 'fixture' });
 *   await vscode.runCommand('RepoWave: Show Log');
 *   await vscode.close();
 *
 * Every selector into the workbench lives in this file: when a VS Code update changes its DOM,
 * this is the only place to repair.
 */
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  ACTION_TIMEOUT,
  launchBrowser,
  makeTempDir,
  START_TIMEOUT,
  startServer,
  Teardown,
  workbenchUrl,
} from './launch.mjs';

/** @import { FrameLocator, Page } from 'playwright-core' */

/** Complaints of VS Code itself without a network or an account. Anything else is the extension's. */
const NOISE = [
  /vsda(_bg)?\.(js|wasm)/,
  /authentication provider 'github'|GitHubLoginFailed/,
  /copilot-chat|@github\/copilot/,
  /events\.data\./, // telemetry
  /Aborted onWillSaveTextDocument-event/, // at the start of VS Code on a loaded machine
  /Skipping attempt to overwrite walkthrough/, // when VS Code lists an installed extension a second time
  /\[lifecycle\] Long running operations during shutdown/, // of VS Code itself, when a window is loaded again
];

/** A running VS Code. Locators come from Playwright and wait by themselves. */
export class VSCode {
  /** Errors on the page's console, without VS Code's own noise. @type {string[]} */
  consoleErrors = [];

  /**
   * @private
   * @param {Page} page
   * @param {string} artifactsDir
   * @param {Teardown} teardown
   */
  constructor(page, artifactsDir, teardown) {
    this.page = page;
    this.artifactsDir = artifactsDir;
    this.teardown = teardown;
    page.on('console', (message) => {
      if (message.type() !== 'error') return;
      this.#recordError(`${message.text()} (${message.location().url})`);
    });
    page.on('pageerror', (error) => this.#recordError(String(error.stack ?? error)));
  }

  /** @param {string} text */
  #recordError(text) {
    if (!NOISE.some((noise) => noise.test(text))) this.consoleErrors.push(text);
  }

  /**
   * @param {object} options
   * @param {string} options.extension a .vsix, installed as users do
   * @param {string} [options.workspace] the folder or .code-workspace file to open
   * @param {Record<string, unknown>} [options.settings] user settings
   * @param {NodeJS.ProcessEnv} [options.env] environment of the extension host
   * @param {boolean} [options.trusted] whether the user trusts what is opened
   * @param {string} [options.artifactsDir] where screenshots go
   */
  static async launch({ extension, workspace, settings, env, trusted, artifactsDir = 'artifacts' }) {
    const teardown = new Teardown();
    try {
      const dir = makeTempDir(teardown);
      const server = await startServer(teardown, { dir, vsix: extension, settings, env, trusted });
      const page = await launchBrowser(teardown, dir);
      const vscode = new VSCode(page, artifactsDir, teardown);
      await page.goto(workbenchUrl(server.authority, workspace), {
        waitUntil: 'commit',
        timeout: START_TIMEOUT,
      });
      // The status bar is the last part to come.
      await page.locator('.monaco-workbench .statusbar-item').first().waitFor({ timeout: START_TIMEOUT });
      return vscode;
    } catch (error) {
      await teardown.run();
      throw error;
    }
  }

  /** Another window of the same server on the same folder, which goes with this one. */
  async openAgain() {
    const page = await this.page.context().newPage();
    await page.goto(this.page.url(), { waitUntil: 'commit', timeout: START_TIMEOUT });
    await page.locator('.monaco-workbench .statusbar-item').first().waitFor({ timeout: START_TIMEOUT });
    return new VSCode(page, this.artifactsDir, this.teardown);
  }

  /** Closes the browser, stops the server and everything it started, removes the user data. */
  async close() {
    await this.teardown.run();
  }

  // --- command palette and quick input

  /** Runs a command from the palette. @param {string} title as shown there: `Category: Title` */
  async runCommand(title) {
    await this.page.keyboard.press('F1');
    await this.quickInput.fill(`>${title}`);
    await this.quickInputRows
      .filter({ has: this.page.locator('.label-name', { hasText: new RegExp(`^${escapeRegExp(title)}$`) }) })
      .first()
      .click();
  }

  /** The text box of the palette, a quick pick or an input box. */
  get quickInput() {
    return this.page.locator('.quick-input-widget:visible .quick-input-box input');
  }

  get quickInputRows() {
    return this.page.locator('.quick-input-widget:visible .quick-input-list .monaco-list-row');
  }

  /** Types into a quick pick or input box and confirms. @param {string} text */
  async typeQuickInput(text, { accept = true } = {}) {
    await this.quickInput.fill(text);
    if (accept) await this.quickInput.press('Enter');
  }

  /**
   * Chooses a file in VS Code's own dialog. It reads a folder before it takes anything, and meanwhile puts its first
   * folder back over what is typed: so each step waits for its list.
   * @param {string} file absolute
   */
  async chooseFile(file) {
    await this.quickInputRows.first().waitFor();
    await this.quickInput.fill(path.dirname(file) + path.sep);
    const row = this.quickInputRows.filter({ hasText: path.basename(file) });
    await row.first().waitFor();
    await row.first().click();
    await this.quickInput.waitFor({ state: 'hidden' });
  }

  // --- status bar, notifications, views

  /** What the status bar shows, left to right; `label` is the text for screen readers. */
  async statusBarItems() {
    return this.page.locator('.statusbar-item:visible').evaluateAll((items) =>
      items.map((item) => ({
        id: item.id,
        text: (item.textContent ?? '').trim(),
        label: item.querySelector('[aria-label]')?.getAttribute('aria-label') ?? '',
      })),
    );
  }

  /** @param {string | RegExp} text */
  statusBarItem(text) {
    return this.page.locator('.statusbar-item').filter({ hasText: text });
  }

  /** Hovers over a status bar item and returns its tooltip. @param {string | RegExp} text */
  async statusBarTooltip(text) {
    await this.statusBarItem(text).hover();
    const hover = this.page.locator('.monaco-hover:visible, .workbench-hover:visible').last();
    await hover.waitFor();
    return hover.innerText();
  }

  /** @param {string | RegExp} text */
  notification(text) {
    return this.page.locator('.notification-toast').filter({ hasText: text });
  }

  /**
   * Shows a view, in whichever part of the window it lives.
   * @param {string} container the title of its view container
   * @param {string} view its name
   */
  async openView(container, view) {
    await this.runCommand(`${container}: Focus on ${view} View`);
  }

  /**
   * The document inside a visible webview. VS Code nests two frames around it.
   * @param {string} extensionId `publisher.name`
   * @param {number} index which one, if the extension shows several
   * @returns {FrameLocator}
   */
  webview(extensionId, index = 0) {
    return this.page
      .locator(`iframe.webview[src*="extensionId=${extensionId}&"]:visible`)
      .nth(index)
      .contentFrame()
      .frameLocator('#active-frame');
  }

  /**
   * The document of the webview that holds an element, as it is now: hidden, it goes.
   * @param {string} selector
   * @returns {Promise<import('playwright-core').Frame>}
   */
  async webviewWith(selector) {
    const deadline = Date.now() + ACTION_TIMEOUT;
    for (;;) {
      for (const frame of this.page.frames()) {
        // A frame may go while it is looked at.
        if (
          (await frame
            .locator(selector)
            .count()
            .catch(() => 0)) > 0
        )
          return frame;
      }
      if (Date.now() > deadline) throw new Error(`No webview holds ${selector}.`);
      await sleep(100);
    }
  }

  /** Moves the edge of the secondary side bar to the left. @param {number} pixels */
  async widenSideBar(pixels) {
    const bar = await this.page.locator('.part.auxiliarybar').boundingBox();
    if (!bar) throw new Error('There is no secondary side bar.');
    const sashes = await this.page.locator('.monaco-sash.vertical:not(.disabled)').all();
    const boxes = await Promise.all(sashes.map((sash) => sash.boundingBox()));
    const edges = boxes.flatMap((box) => (box ? [box.x + box.width / 2] : []));
    const [edge = bar.x] = edges.sort((a, b) => Math.abs(a - bar.x) - Math.abs(b - bar.x));
    const y = bar.y + bar.height / 3;
    await this.page.mouse.move(edge, y);
    await this.page.mouse.down();
    await this.page.mouse.move(edge - pixels, y, { steps: 5 });
    await this.page.mouse.up();
  }

  /** Opens a file of the workspace. @param {string} name */
  async openFile(name) {
    await this.page.keyboard.press('Control+P');
    await this.quickInput.fill(name);
    await this.quickInputRows.filter({ hasText: name }).first().click();
    await this.page.locator('.editor-instance .view-lines').first().waitFor();
  }

  /** @param {string} name as the list of themes has it */
  async chooseTheme(name) {
    await this.runCommand('Preferences: Color Theme');
    await this.typeQuickInput(name, { accept: false });
    await this.quickInputRows.filter({ hasText: name }).first().click();
    await this.quickInput.waitFor({ state: 'hidden' });
  }

  // --- VS Code's own chat

  /**
   * Sends a chat message and returns the answer's text.
   * @param {string} message
   */
  async askChat(message) {
    const input = this.page.locator('.interactive-session .chat-editor-container .monaco-editor').first();
    if (!(await input.isVisible())) await this.runCommand('Chat: Open Chat');
    await input.click();
    await this.page.keyboard.press('Control+A');
    await this.page.keyboard.type(message, { delay: 20 });
    await this.page.keyboard.press('Escape'); // the suggestions for @ and #
    await this.page.keyboard.press('Enter');
    // Earlier answers may have left the list, which holds what can be seen.
    const question = message.replace(/^([@#/]\S+ )+/, '');
    await this.page.locator('.interactive-list .interactive-request', { hasText: question }).last().waitFor();
    const response = this.chatResponses.last();
    await response.and(this.page.locator(':not(.chat-response-loading)')).waitFor();
    return response.innerText();
  }

  get chatResponses() {
    return this.page.locator('.interactive-list .interactive-item-container.interactive-response');
  }

  // --- evidence

  /**
   * The lines of the visible editor that an extension has decorated, with the style of the bar on their left.
   * @returns {Promise<Record<number, string>>}
   */
  async decoratedLines() {
    return this.page.locator('.editor-instance:visible .monaco-editor').evaluate((editor) => {
      /** @param {Element} line */
      const top = (line) => /** @type {HTMLElement} */ (line).style.top;
      const numbers = [...editor.querySelectorAll('.margin-view-overlays > div')];
      const lines = [...editor.querySelectorAll('.view-overlays > div')].flatMap((line) => {
        const decoration = line.querySelector('[class*="TextEditorDecorationType"]');
        const number = numbers.find((other) => top(other) === top(line))?.textContent;
        return decoration ? [[Number(number), getComputedStyle(decoration).borderLeftStyle]] : [];
      });
      return Object.fromEntries(lines);
    });
  }

  /** The badge of a file in the explorer, empty if it has none. @param {string} name */
  async explorerBadge(name) {
    const label = this.page.locator(
      `.explorer-folders-view .monaco-list-row[aria-label^="${name}"] .monaco-icon-label`,
    );
    const content = await label.evaluate((element) => getComputedStyle(element, '::after').content);
    return content === 'none' ? '' : content.replaceAll('"', '');
  }

  /** The check box of a line of a tree. @param {import('playwright-core').Locator} row */
  checkbox(row) {
    return row.locator('.custom-view-tree-node-item-checkbox');
  }

  /** A button on a line of a tree, which is there while the pointer is. @param {import('playwright-core').Locator} row @param {string} name */
  async pressOn(row, name) {
    await row.hover();
    await row.locator(`.actions .action-label[aria-label="${name}"]`).click();
  }

  /** What the hover over the first words of a line of the visible editor says. @param {string} text of the line */
  async editorHover(text) {
    const line = this.page.locator('.editor-instance:visible .view-line', { hasText: text }).first();
    await line.hover({ position: { x: 60, y: 8 } });
    const hover = this.page.locator('.monaco-hover:visible').first();
    await hover.waitFor();
    return hover.innerText();
  }

  /** @param {string} name @returns {Promise<string>} the file's path */
  async screenshot(name) {
    const file = path.join(this.artifactsDir, `${name}.png`);
    await this.page.screenshot({ path: file });
    return file;
  }
}

/** @param {string} text */
function escapeRegExp(text) {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
