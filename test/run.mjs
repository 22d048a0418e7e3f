/** Runs the tests: `node test/run.mjs [unit|native|cuda|backend|vscode …]`, all layers by default, but for what takes many minutes. Set-up has run before. */
import fs from 'node:fs';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { attach, capture, endOnSignals } from '../scripts/children.mjs';
import { at, dist, root } from '../scripts/paths.mjs';

const MODELS = ['smollm2-135m', 'qwen2.5-coder-0.5b'];
const TIMEOUT_MS = 600_000;

/** @typedef {{ name: string, pattern: RegExp, args: string[], prepare: (() => Promise<boolean>)[], onRequest?: RegExp }} Layer */

// Several models at once in memory, or several windows, would disturb each other: one file at a time.
const oneByOne = ['--test-concurrency=1'];
// The emulator takes one processor and little memory.
const allAtOnce = [`--test-concurrency=${availableParallelism()}`];

/** @type {Layer[]} */
const layers = [
  { name: 'unit', pattern: /\.test\.ts$/, args: [], prepare: [] },
  { name: 'native', pattern: /\.test\.ts$/, args: oneByOne, prepare: [fetchModels] },
  // With sanitizers, and with every planted fault, the emulator takes many minutes.
  {
    name: 'cuda',
    pattern: /\.test\.ts$/,
    args: allAtOnce,
    prepare: [],
    onRequest: /emulated-\w+\.test\.ts$/,
  },
  { name: 'backend', pattern: /\.test\.ts$/, args: oneByOne, prepare: [fetchModels] },
  {
    name: 'vscode',
    pattern: /\.test\.mjs$/,
    args: oneByOne,
    prepare: [fetchModels, installVsCode, packExtension],
  },
];

/** @typedef {Record<'pass' | 'fail' | 'cancelled' | 'skipped' | 'todo', number>} Totals */
/** @type {Totals} */
const totals = { pass: 0, fail: 0, cancelled: 0, skipped: 0, todo: 0 };

const names = process.argv.slice(2);
const unknown = names.filter((name) => !layers.some((layer) => layer.name === name));
if (unknown.length > 0) {
  process.stderr.write(
    `No tests are called ${unknown.join(', ')}: there are ${layers.map(({ name }) => name).join(', ')}.\n`,
  );
  process.exit(2);
}

endOnSignals();
let ok = true;
for (const layer of layers) {
  if (names.length === 0 || names.includes(layer.name)) ok = (await runLayer(layer)) && ok;
}
const failed = totals.fail + totals.cancelled;
console.log(`${totals.pass} passed, ${failed} failed, ${totals.skipped + totals.todo} skipped`);
process.exitCode = ok && failed === 0 && totals.pass > 0 ? 0 : 1;

/** @param {Layer} layer @returns {Promise<boolean>} */
async function runLayer({ name, pattern, args, prepare, onRequest }) {
  const all = testFiles(path.join(root, 'test', name), pattern);
  const files = all.filter((file) => names.length > 0 || !onRequest?.test(file));
  if (files.length === 0) return true;
  console.log(`\n== ${name}: ${files.length} files`);
  for (const step of prepare) {
    if (!(await step())) {
      console.log(`The ${name} tests could not start, see above.`);
      return false;
    }
  }
  return (await runFiles(args, files)) === 0;
}

/** @param {string} folder @param {RegExp} pattern @returns {string[]} */
function testFiles(folder, pattern) {
  if (!fs.existsSync(folder)) return [];
  const names = fs.readdirSync(folder, { recursive: true, encoding: 'utf8' });
  return names
    .filter((name) => pattern.test(name))
    .sort()
    .map((name) => path.join(folder, name));
}

/** Shows what node:test says and adds up its summary. @param {string[]} args @param {string[]} files @returns {Promise<number>} */
async function runFiles(args, files) {
  const all = ['--import', 'tsx', '--test', '--test-reporter=spec', `--test-timeout=${TIMEOUT_MS}`];
  const { code, output } = await capture(process.execPath, [...all, ...args, ...files], {
    cwd: root,
    env: {
      ...process.env,
      REPOWAVE_NATIVE: path.join(dist, 'native', 'repowave.node'),
      REPOWAVE_VSIX: at('build', 'repowave-linux-x64.vsix'),
      ...(process.stdout.isTTY ? { FORCE_COLOR: '1' } : {}),
    },
    onLine: (line) => console.log(line),
  });
  addSummary(stripVTControlCharacters(output));
  return code;
}

/** @param {string} output of the spec reporter */
function addSummary(output) {
  for (const [, key, count] of output.matchAll(/^ℹ (pass|fail|cancelled|skipped|todo) (\d+)$/gm)) {
    totals[/** @type {keyof Totals} */ (key)] += Number(count);
  }
}

async function fetchModels() {
  for (const id of MODELS) {
    const code = await attach(process.execPath, [
      path.join(dist, 'cli.mjs'),
      'models',
      '--json',
      '--download',
      id,
    ]);
    if (code !== 0) return false;
  }
  return true;
}

async function installVsCode() {
  return (await attach('bash', [at('test', 'harness', 'install.sh')])) === 0;
}

async function packExtension() {
  return (await attach(process.execPath, [at('scripts', 'package.mjs')])) === 0;
}
