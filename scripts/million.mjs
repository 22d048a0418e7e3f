/**
 * Reads a repository of a million tokens, in the background over hours if need be:
 * `npm run build && node scripts/million.mjs [--package NAME@VERSION] [--model ID] [-- OPTIONS OF index]`. Stop it at
 * any moment and run it again to go on.
 *
 * With `--synthetic` only some of it is read, and the rest made up of that in minutes: for measuring speed and memory,
 * in a store of its own, `build/million/store`, and marked as synthetic in each file and each answer.
 */
import fs from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { attach, capture } from './children.mjs';
import { networkProblem } from './network.mjs';
import { at, build, dist } from './paths.mjs';
import { asProblem, Problem } from './problem.mjs';

/** Some 5 MB of JavaScript as people write it, in files of ordinary size. */
const PACKAGE = 'webpack@5.102.1';
const MODEL = 'qwen2.5-coder-0.5b';
/** The least that a million tokens of code take. */
const LEAST_BYTES = 3_000_000;
/** Tokens that are read where the rest is made up. */
const SAMPLE = 16_384;

/** @param {string[]} args */
async function main(args) {
  const { values, positionals } = parseArgs({
    args,
    options: {
      package: { type: 'string', default: PACKAGE },
      model: { type: 'string', default: MODEL },
      synthetic: { type: 'boolean', default: false },
    },
    allowPositionals: true,
  });
  const repository = await fetchSource(values.package);
  process.exitCode = values.synthetic
    ? await makeUp(repository, values.model)
    : await read(repository, values.model, positionals);
}

/** @param {string} repository @param {string} model @param {string[]} options @returns {Promise<number>} */
function read(repository, model, options) {
  const index = ['index', '--repo', repository, '--model', model, ...options];
  return attach(process.execPath, [path.join(dist, 'cli.mjs'), ...index]);
}

/** @param {string} repository @param {string} model @returns {Promise<number>} */
async function makeUp(repository, model) {
  const store = at('build', 'million', 'store');
  process.env.REPOWAVE_NATIVE = path.join(dist, 'native', 'repowave.node');
  const fill = JSON.stringify({ repo: repository, store, model, sample: SAMPLE, threads: 2 });
  const code = await attach(process.execPath, ['--import', 'tsx', at('test/bench/fill-ours.ts'), fill]);
  if (code === 0)
    process.stderr.write(`Ask it with REPOWAVE_STORE=${store} and --repo ${repository} --model ${model}.\n`);
  return code;
}

/**
 * The files of an npm package, fetched once; it is there as a whole or not at all.
 * @param {string} name
 * @returns {Promise<string>} their folder
 */
async function fetchSource(name) {
  const folder = at('build', 'million', name.replaceAll('/', '+'));
  if (fs.existsSync(folder)) return folder;
  fs.mkdirSync(path.dirname(folder), { recursive: true });
  const temporary = fs.mkdtempSync(path.join(build, 'tmp-million-'));
  try {
    process.stderr.write(`Fetching ${name} …\n`);
    const pack = await capture('npm', ['pack', name, '--pack-destination', temporary, '--loglevel=error']);
    const [archive] = fs.readdirSync(temporary);
    if (pack.code !== 0 || !archive) throw networkProblem(`the package ${name}`, pack.output);
    const tar = await capture('tar', ['-xzf', path.join(temporary, archive), '-C', temporary]);
    if (tar.code !== 0) throw new Problem(`${archive} cannot be unpacked: ${tar.output.trim()}`);
    const source = path.join(temporary, 'package');
    if (bytesIn(source) < LEAST_BYTES)
      throw new Problem(`${name} is too small for a million tokens: name another with --package.`);
    fs.renameSync(source, folder);
    return folder;
  } finally {
    fs.rmSync(temporary, { recursive: true, force: true });
  }
}

/** @param {string} folder @returns {number} */
function bytesIn(folder) {
  return fs
    .readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, { parentPath, name }) => sum + fs.statSync(path.join(parentPath, name)).size, 0);
}

main(process.argv.slice(2)).catch((error) => {
  const problem = asProblem(error);
  if (!problem) throw error;
  process.stderr.write(`${problem.message}\n`);
  process.exitCode = Problem.exitCode;
});
