/**
 * Reads a repository of a million tokens, in the background over hours if need be:
 * `npm run build && node scripts/million.mjs [--package NAME@VERSION] [--model ID] [-- OPTIONS OF index]`. Stop it at
 * any moment and run it again to go on.
 */
import fs from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { attach, capture } from './children.mjs';
import { networkProblem } from './network.mjs';
import { at, build, dist } from './paths.mjs';
import { asProblem, Problem } from './problem.mjs';

/** Some 7 MB of JavaScript in files of ordinary size. */
const PACKAGE = 'three@0.180.0';
const MODEL = 'smollm2-135m';
/** The least that a million tokens of code take. */
const LEAST_BYTES = 3_000_000;

/** @param {string[]} args */
async function main(args) {
  const { values, positionals } = parseArgs({
    args,
    options: {
      package: { type: 'string', default: PACKAGE },
      model: { type: 'string', default: MODEL },
    },
    allowPositionals: true,
  });
  const repository = await fetchSource(values.package);
  const index = ['index', '--repo', repository, '--model', values.model, ...positionals];
  process.exitCode = await attach(process.execPath, [path.join(dist, 'cli.mjs'), ...index]);
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
