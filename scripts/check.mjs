/** Types, lint and format, stopping at the first that fails; with `--fix` it puts the format right instead. */
import { spawnSync } from 'node:child_process';
import { at, root } from './paths.mjs';

/** @typedef {[script: string, ...args: string[]]} Job */

/** @type {Job[]} */
const checks = [
  ['node_modules/typescript/bin/tsc', '--noEmit'],
  ['node_modules/eslint/bin/eslint.js', '.'],
  ['node_modules/prettier/bin/prettier.cjs', '--check', '.'],
  ['scripts/clang-format.mjs', '--check'],
];
/** @type {Job[]} */
const fixes = [['node_modules/prettier/bin/prettier.cjs', '--write', '.'], ['scripts/clang-format.mjs']];

for (const [script, ...args] of process.argv.includes('--fix') ? fixes : checks) {
  const { status } = spawnSync(process.execPath, [at(script), ...args], { cwd: root, stdio: 'inherit' });
  process.exitCode = status ?? 1;
  if (process.exitCode !== 0) break;
}
