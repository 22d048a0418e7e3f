/** The CUDA part, `dist/native/librepowave_cuda.so`: built with the machine's nvcc, else with the one that pip installs. */
import fs from 'node:fs';
import path from 'node:path';
import { at, build, dist } from './paths.mjs';
import { capture } from './children.mjs';
import { firstError } from './native.mjs';
import { networkProblem } from './network.mjs';
import { Problem } from './problem.mjs';
import { isCurrent, stampFor } from './stamps.mjs';

const source = path.join('native', 'kernels', 'cuda');
const product = { name: 'cuda', inputs: [source], outputs: ['dist/native/librepowave_cuda.so'] };
const folder = path.join(build, 'cuda', 'library');
const toolkit = path.join(build, 'cuda', 'toolkit');

/** @returns {boolean} */
export function cudaIsCurrent() {
  return isCurrent(product);
}

/** @throws {Problem} with the first error */
export async function buildCuda() {
  const stamp = stampFor(product);
  if (!(await hasCompiler())) await installToolkit();
  const output = path.join(dist, 'native');
  await must([
    ...['-S', at(source), '-B', folder],
    ...[`-DREPOWAVE_OUTPUT=${output}`, `-DREPOWAVE_CUDA_TOOLKIT=${toolkit}`],
  ]);
  const log = await must(['--build', folder]);
  // What the compiler tells of registers and spills: test/cuda/compiled.test.ts reads it.
  fs.writeFileSync(path.join(folder, 'resources.log'), log);
  stamp();
}

/** Of this machine, or installed here before. */
async function hasCompiler() {
  if (process.env.CUDA_PATH || fs.existsSync(path.join(toolkit, 'nvidia'))) return true;
  return (await capture('nvcc', ['--version'])).code === 0;
}

async function installToolkit() {
  const requirements = at(source, 'toolkit.txt');
  const pip = ['-m', 'pip', 'install', '--quiet', '--no-deps', '--require-hashes', '--target', toolkit];
  const { code, output } = await capture('python3', [...pip, '-r', requirements]);
  if (code !== 0) throw networkProblem("NVIDIA's compiler (with pip)", output);
}

/** @param {string[]} args of cmake @returns {Promise<string>} what it said */
async function must(args) {
  const { code, output } = await capture('cmake', args);
  if (code !== 0) throw new Problem(`Could not build the CUDA part: ${firstError(output)}`);
  return output;
}
