/** What `npm start`, `npm test` and the others do once everything is there. */
import { pathToFileURL } from 'node:url';
import { at } from './paths.mjs';
import { attach } from './children.mjs';
import { Problem } from './problem.mjs';

/** @typedef {'packages' | 'headers' | 'native' | 'cuda' | 'cuda12' | 'bundles'} StepName */
/** @typedef {{ needs: (args: string[]) => StepName[], run: (args: string[]) => Promise<void> }} Command */

/** @type {StepName[]} */
const everything = ['packages', 'headers', 'native', 'bundles'];
/** @type {StepName[]} */
const javascript = ['packages', 'bundles'];
const HELP = new Set(['-h', '--help', '-V', '--version']);
/** Options of the command line that mean nothing to npm: it takes them all the same where `--` is missing. */
const SWALLOWED = [
  'repo',
  'model',
  'questions',
  'mode',
  'kv',
  'gpu',
  'ram',
  'disk',
  'late',
  'wait',
  'exclude',
];

/** @type {Record<string, Command>} */
export const commands = {
  run: { needs: cliNeeds, run: runCli },
  build: { needs: () => everything, run: () => Promise.resolve() },
  test: {
    needs: (args) => (args.every((layer) => layer === 'cuda') && args.length > 0 ? ['packages'] : everything),
    run: (args) => inTurn(...(args.length ? [] : [check]), () => node(at('test/run.mjs'), ...args)),
  },
  cuda: {
    needs: ([what]) =>
      what === 'kit' ? everything : what === '12.9' ? ['packages', 'cuda12'] : ['packages', 'cuda'],
    run: (args) => inTurn(...(args[0] === 'kit' ? [() => node(at('scripts/gpu-kit.mjs'))] : [])),
  },
  bench: { needs: () => everything, run: (args) => inTurn(() => tsx('test/bench/main.ts', args)) },
  eval: {
    needs: (args) => (args[0] === 'plant' ? ['packages'] : everything),
    run: (args) => inTurn(() => tsx('test/eval/main.ts', args)),
  },
  check: { needs: () => ['packages'], run: () => inTurn(check) },
  format: { needs: () => ['packages'], run: () => inTurn(() => node(at('scripts/check.mjs'), '--fix')) },
  package: { needs: () => everything, run: () => inTurn(() => node(at('scripts/package.mjs'))) },
};

/** @param {string[]} args @returns {StepName[]} `doctor` must run where the rest cannot be built: it says why. */
function cliNeeds(args) {
  const option = swallowedOption(args, process.env);
  if (option !== undefined) {
    throw new Problem(
      `npm has kept --${option} for itself: put -- before the command, as in "npm start -- ask … --${option} …".`,
    );
  }
  return asksForHelp(args) || args[0] === 'doctor' ? javascript : everything;
}

/**
 * @param {string[]} args
 * @param {NodeJS.ProcessEnv} env
 * @returns {string | undefined} an option that npm took, as it does without `--`: `npm start ask WHAT --repo DIR`
 */
export function swallowedOption(args, env) {
  return SWALLOWED.find((name) => env[`npm_config_${name}`] !== undefined && !args.includes(`--${name}`));
}

/** @param {string[]} args @returns {boolean} */
export function asksForHelp(args) {
  const own = args.includes('--') ? args.slice(0, args.indexOf('--')) : args;
  return own.length === 0 || own[0] === 'help' || own.some((arg) => HELP.has(arg));
}

/** In this very process: signals, input, output and exit code are the command line's own. @param {string[]} args */
async function runCli(args) {
  const cli = at('dist', 'cli.mjs');
  process.argv = [process.execPath, cli, ...args];
  // npm runs scripts in the package's folder; a relative --repo means the folder that the user is in.
  process.env.REPOWAVE_CWD ??= process.env.INIT_CWD ?? process.cwd();
  await import(pathToFileURL(cli).href);
}

/** Runs until one fails, and fails as that one. @param {(() => Promise<number>)[]} jobs */
async function inTurn(...jobs) {
  for (const job of jobs) {
    process.exitCode = await job();
    if (process.exitCode !== 0) return;
  }
}

const check = () => node(at('scripts/check.mjs'));

/** @param {string[]} args */
const node = (...args) => attach(process.execPath, args);

/** @param {string} file @param {string[]} args */
const tsx = (file, args) => node('--import', 'tsx', at(file), ...args);
