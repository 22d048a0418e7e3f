/** What has to be on the machine before anything can be built. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { root } from './paths.mjs';
import { capture } from './children.mjs';
import { Problem } from './problem.mjs';

const NEEDED_BYTES = 2e9;
const MINIMUM_CMAKE = [3, 20];
const CXX20_LINE =
  '#include <concepts>\ntemplate <std::integral T> T id(T t) { return t; }\nint main() { return id(0); }\n';

/** @throws {Problem} when the disk has too little room for packages and build */
export function checkDisk() {
  const { bavail, bsize } = fs.statfsSync(root);
  const free = bavail * bsize;
  if (free < NEEDED_BYTES) {
    throw new Problem(
      `Set-up needs ${NEEDED_BYTES / 1e9} GB of free disk space at ${root}, and there is ${(free / 1e9).toFixed(1)} GB: free some and run this again.`,
    );
  }
}

/** @throws {Problem} unless this is the platform that llama.cpp's libraries are there for */
export function checkPlatform() {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    throw new Problem(
      `RepoWave runs on Linux x64 only so far, and this is ${process.platform} ${process.arch}: use a Linux x64 machine.`,
    );
  }
}

/** @throws {Problem} naming the first tool that is missing or too old, and how to install it */
export async function checkTools() {
  if ((await capture('git', ['--version'])).code !== 0) {
    throw new Problem('git is missing: install it, e.g. with "sudo apt install git", and run this again.');
  }
  await checkCmake();
  await checkCompiler();
}

async function checkCmake() {
  const { code, output } = await capture('cmake', ['--version']);
  const how = 'e.g. with "sudo apt install cmake", and run this again';
  if (code !== 0)
    throw new Problem(`CMake is missing: install version ${MINIMUM_CMAKE.join('.')} or newer, ${how}.`);
  const found = parseVersion(output);
  if (!isAtLeast(found, MINIMUM_CMAKE)) {
    throw new Problem(
      `CMake ${found.join('.')} is too old: install version ${MINIMUM_CMAKE.join('.')} or newer, ${how}.`,
    );
  }
}

/** The compiler that CMake will take: `$CXX`, else the first of the usual names. */
async function checkCompiler() {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'repowave-'));
  try {
    const source = path.join(folder, 'check.cpp');
    fs.writeFileSync(source, CXX20_LINE);
    for (const compiler of process.env.CXX ? [process.env.CXX] : ['c++', 'g++', 'clang++']) {
      const { code } = await capture(compiler, ['-std=c++20', source, '-o', path.join(folder, 'check')]);
      if (code === 0) return;
      if (code !== 127) {
        throw new Problem(
          `The C++ compiler "${compiler}" cannot compile C++20: install g++ 11 or newer (or clang 14 or newer), e.g. with "sudo apt install g++", and run this again.`,
        );
      }
    }
    throw new Problem(
      'A C++ compiler is missing: install g++ 11 or newer (or clang 14 or newer), e.g. with "sudo apt install g++", and run this again.',
    );
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
}

/** @param {string} text @returns {number[]} the first dotted number in it; empty when there is none */
export function parseVersion(text) {
  return (/\d+(\.\d+)+/.exec(text)?.[0] ?? '').split('.').filter(Boolean).map(Number);
}

/** @param {readonly number[]} version @param {readonly number[]} minimum @returns {boolean} */
export function isAtLeast(version, minimum) {
  for (const [index, least] of minimum.entries()) {
    const part = version[index] ?? 0;
    if (part !== least) return part > least;
  }
  return true;
}
