/** The npm packages, exactly as locked. */
import fs from 'node:fs';
import path from 'node:path';
import { at, llamaLibraries, root } from './paths.mjs';
import { capture } from './children.mjs';
import { networkProblem } from './network.mjs';
import { Problem } from './problem.mjs';
import { isCurrent, stampFor } from './stamps.mjs';

/** @typedef {{ version?: string, optional?: boolean }} LockedPackage */

const product = {
  name: 'packages',
  inputs: ['package-lock.json'],
  outputs: ['node_modules/.package-lock.json', path.relative(root, llamaLibraries)],
};

/** @returns {boolean} also when the same packages were installed by hand */
export function packagesAreCurrent() {
  if (isCurrent(product)) return true;
  if (!product.outputs.every((output) => fs.existsSync(at(output)))) return false;
  const missing = missingPackages(
    lockedPackages('package-lock.json'),
    lockedPackages('node_modules/.package-lock.json'),
  );
  if (missing.length > 0) return false;
  stampFor(product)();
  return true;
}

/**
 * @param {Record<string, LockedPackage>} locked
 * @param {Record<string, LockedPackage>} installed
 * @returns {string[]} folders of what is locked and not installed in that version, other platforms' variants aside
 */
export function missingPackages(locked, installed) {
  return Object.entries(locked)
    .filter(
      ([folder, { version, optional }]) =>
        folder !== '' && !optional && installed[folder]?.version !== version,
    )
    .map(([folder]) => folder);
}

/** @param {string} file @returns {Record<string, LockedPackage>} by folder */
function lockedPackages(file) {
  return JSON.parse(fs.readFileSync(at(file), 'utf8')).packages;
}

/** @param {import('./llama-headers.mjs').Report} report @throws {Problem} */
export async function installPackages(report) {
  const stamp = stampFor(product);
  const folders = Object.entries(lockedPackages('package-lock.json'))
    .filter(([folder, { optional }]) => folder !== '' && !optional)
    .map(([folder]) => folder);
  const timer = setInterval(() => {
    const there = folders.filter((folder) => fs.existsSync(at(folder, 'package.json'))).length;
    report(there, folders.length, 'packages');
  }, 300);
  const { code, output } = await capture('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: root,
    // Its post-install script would download GPU variants; the pinned package brings what is needed.
    env: { ...process.env, NODE_LLAMA_CPP_SKIP_DOWNLOAD: 'true' },
  });
  clearInterval(timer);
  if (code !== 0) throw networkProblem('the npm packages', output);
  if (!fs.existsSync(llamaLibraries)) {
    throw new Problem(
      'Could not get the package @node-llama-cpp/linux-x64: check that the npm registry has it and that npm\'s "omit" setting leaves optional packages in, then run this again.',
    );
  }
  stamp();
}
