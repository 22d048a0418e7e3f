/**
 * The CUDA part, `dist/native/librepowave_cuda.so`: built with the machine's nvcc, else with the one that pip installs. And
 * `librepowave_cuda12.so`, the same for drivers that do not know CUDA 13: built by clang with NVIDIA's assembler, headers and
 * runtime of 12.9, since no package has that nvcc.
 */
import fs from 'node:fs';
import path from 'node:path';
import { at, build, dist } from './paths.mjs';
import { capture } from './children.mjs';
import { firstError } from './native.mjs';
import { networkProblem } from './network.mjs';
import { Problem } from './problem.mjs';
import { isCurrent, stampFor } from './stamps.mjs';

const source = path.join('native', 'kernels', 'cuda');

/** @typedef {{ library: string, folder: string, requirements: string, hasCompiler: (toolkit: string) => Promise<boolean>, options: (toolkit: string) => string[] }} Edition */

/** @type {Record<'newest' | 'older', Edition>} */
const editions = {
  newest: {
    library: 'librepowave_cuda.so',
    folder: 'library',
    requirements: 'toolkit.txt',
    hasCompiler: async (toolkit) =>
      Boolean(process.env.CUDA_PATH) ||
      fs.existsSync(path.join(toolkit, 'nvidia')) ||
      (await capture('nvcc', ['--version'])).code === 0,
    options: (toolkit) => [`-DREPOWAVE_CUDA_TOOLKIT=${toolkit}`],
  },
  older: {
    library: 'librepowave_cuda12.so',
    folder: 'library12',
    requirements: path.join('clang', 'toolkit.txt'),
    hasCompiler: (toolkit) => Promise.resolve(fs.existsSync(path.join(toolkit, 'nvidia'))),
    options: (toolkit) => [`-DREPOWAVE_CUDA_CLANG=${forClang(toolkit)}`],
  },
};

/** @param {keyof typeof editions} name */
const product = (name) => ({
  name: name === 'newest' ? 'cuda' : 'cuda12',
  inputs: [source],
  outputs: [`dist/native/${editions[name].library}`],
});

/** @param {keyof typeof editions} name @returns {boolean} */
export function cudaIsCurrent(name) {
  return isCurrent(product(name));
}

/** @param {keyof typeof editions} name @throws {Problem} with the first error */
export async function buildCuda(name) {
  const { folder, requirements, hasCompiler, options } = editions[name];
  const stamp = stampFor(product(name));
  const [built, toolkit] = [path.join(build, 'cuda', folder), path.join(build, 'cuda', `toolkit-${name}`)];
  if (!(await hasCompiler(toolkit))) await installToolkit(toolkit, at(source, requirements));
  const output = path.join(dist, 'native');
  await must(['-S', at(source), '-B', built, `-DREPOWAVE_OUTPUT=${output}`, ...options(toolkit)]);
  const log = await must(['--build', built]);
  // What the assembler tells of registers and spills: test/cuda/compiled.test.ts reads it.
  fs.writeFileSync(path.join(built, 'resources.log'), log);
  stamp();
}

/** @param {string} toolkit @param {string} requirements */
async function installToolkit(toolkit, requirements) {
  const pip = ['-m', 'pip', 'install', '--quiet', '--no-deps', '--require-hashes', '--target', toolkit];
  const { code, output } = await capture('python3', [...pip, '-r', requirements]);
  if (code !== 0) throw networkProblem("NVIDIA's compiler (with pip)", output);
}

/**
 * What pip has installed, as clang expects a toolkit: one folder for each kind.
 * @param {string} toolkit
 * @returns {string}
 */
function forClang(toolkit) {
  const to = path.join(toolkit, 'for-clang');
  const from = path.join(toolkit, 'nvidia');
  /** @param {string} file @param {string} where */
  const copy = (file, where) => fs.cpSync(file, path.join(to, where), { recursive: true });
  for (const part of ['cuda_runtime', 'cuda_nvcc', 'cuda_cccl'])
    copy(path.join(from, part, 'include'), 'include');
  copy(path.join(from, 'cuda_runtime', 'lib'), 'lib64');
  copy(path.join(from, 'cuda_nvcc', 'nvvm'), 'nvvm');
  copy(path.join(from, 'cuda_nvcc', 'bin', 'ptxas'), 'bin/ptxas');
  copy(path.join(from, 'cu13', 'bin', 'fatbinary'), 'bin/fatbinary13');
  copy(at(source, 'clang', 'fatbinary'), 'bin/fatbinary');
  copy(at(source, 'clang', 'curand_mtgp32_kernel.h'), 'include/curand_mtgp32_kernel.h');
  return to;
}

/** @param {string[]} args of cmake @returns {Promise<string>} what it said */
async function must(args) {
  const { code, output } = await capture('cmake', args);
  if (code !== 0) throw new Problem(`Could not build the CUDA part: ${firstError(output)}`);
  return output;
}
