/**
 * llama.cpp's headers and the sources of its benchmark, of exactly the release that the prebuilt libraries come from:
 * out of the git bundle in the `node-llama-cpp` package, which as a plain dependency would drag in all GPU variants.
 */
import fs from 'node:fs';
import path from 'node:path';
import { createHash } from 'node:crypto';
import { build, llamaPackage, llamaSource } from './paths.mjs';
import { capture } from './children.mjs';
import { Problem } from './problem.mjs';
import { networkProblem } from './network.mjs';

const KEPT = [
  'include',
  'ggml/include',
  ':(glob)ggml/src/*.h',
  'common',
  'vendor',
  'tools/llama-bench',
  'LICENSE',
  'licenses',
];
const STAMP = path.join(llamaSource, '.complete');
const WANTED = `${llamaPackage.name}@${llamaPackage.version} ${llamaPackage.integrity} ${KEPT.join(' ')}`;

/** @returns {boolean} */
export function headersAreCurrent() {
  return fs.existsSync(STAMP) && fs.readFileSync(STAMP, 'utf8') === WANTED;
}

/** @typedef {(done: number, total?: number, unit?: string) => void} Report */

/**
 * Fetches the package and unpacks what is needed. Interrupted, it leaves nothing that counts as done.
 * @param {Report} report
 * @throws {Problem}
 */
export async function fetchHeaders(report) {
  fs.mkdirSync(build, { recursive: true });
  const temporary = fs.mkdtempSync(path.join(build, 'tmp-llama-'));
  try {
    const tarball = await pack(temporary, report);
    await must('tar', ['-xzf', tarball, '-C', temporary, 'package/llama/gitRelease.bundle']);
    const repository = path.join(temporary, 'git');
    await must('git', [
      'clone',
      '--quiet',
      '--bare',
      path.join(temporary, 'package/llama/gitRelease.bundle'),
      repository,
    ]);
    const source = path.join(temporary, 'source');
    const archive = path.join(temporary, 'source.tar');
    fs.mkdirSync(source);
    await must('git', ['-C', repository, 'archive', '--format=tar', '-o', archive, 'HEAD', '--', ...KEPT]);
    await must('tar', ['-xf', archive, '-C', source]);
    fs.writeFileSync(path.join(source, '.complete'), WANTED);
    fs.rmSync(llamaSource, { recursive: true, force: true });
    fs.renameSync(source, llamaSource);
  } finally {
    fs.rmSync(temporary, { recursive: true, force: true });
  }
}

/** @param {string} folder @param {Report} report @returns {Promise<string>} the checked tarball */
async function pack(folder, report) {
  const { name, version, bytes, integrity } = llamaPackage;
  /** @type {NodeJS.Timeout | undefined} */
  let timer;
  const { code, output } = await capture(
    'npm',
    ['pack', `${name}@${version}`, '--pack-destination', folder, '--loglevel=error'],
    {
      onStart: (pid) => {
        timer = setInterval(() => report(Math.min(bytes, bytesRead(pid)), bytes, 'bytes'), 200);
      },
    },
  );
  clearInterval(timer);
  if (code !== 0) throw networkProblem('the headers of llama.cpp', output);
  const tarball = path.join(folder, `${name}-${version}.tgz`);
  const found = `sha512-${createHash('sha512').update(fs.readFileSync(tarball)).digest('base64')}`;
  if (found !== integrity) {
    throw new Problem(
      `The package ${name}@${version} is not the one that was published (its checksum differs): check the registry with "npm config get registry" and run this again.`,
    );
  }
  return tarball;
}

/** npm says nothing while it downloads. @param {number} pid @returns {number} bytes that the process has read so far */
function bytesRead(pid) {
  try {
    return Number(/rchar: (\d+)/.exec(fs.readFileSync(`/proc/${pid}/io`, 'utf8'))?.[1] ?? 0);
  } catch {
    return 0;
  }
}

/** @param {string} command @param {string[]} args */
async function must(command, args) {
  const { code, output } = await capture(command, args);
  if (code === 127)
    throw new Problem(`"${command}" is missing: install it, e.g. with "sudo apt install ${command}".`);
  if (code !== 0)
    throw new Problem(
      `"${command} ${args[0]}" failed while unpacking llama.cpp: ${output.trim().split('\n').at(-1)}. Check the free disk space and run this again.`,
    );
}
