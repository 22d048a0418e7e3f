/** The addon, `dist/native/repowave.node`, with llama.cpp's libraries beside it. */
import fs from 'node:fs';
import path from 'node:path';
import { at, build, dist, llamaLibraries, llamaSource, root } from './paths.mjs';
import { capture } from './children.mjs';
import { Problem } from './problem.mjs';
import { isCurrent, stampFor } from './stamps.mjs';

const product = {
  name: 'native',
  inputs: [
    'native',
    'test/native/addon_values.h',
    'test/native/attention_addon.cpp',
    'test/native/cache_addon.cpp',
    'test/native/fake_gpu.cpp',
    'test/native/index_addon.cpp',
    'test/native/kernels_addon.cpp',
    'test/native/llama_depth.cpp',
    'test/native/plain_llama.cpp',
    'test/native/synthetic_segments.cpp',
    'build/llama.cpp/.complete',
    'node_modules/@node-llama-cpp/linux-x64/package.json',
  ],
  outputs: [
    'dist/native/repowave.node',
    'dist/native/libggml-base.so',
    ...['plain_llama', 'llama_depth', 'synthetic_segments', 'fake_gpu.so'].map(
      (name) => `build/native/${name}`,
    ),
  ],
};
const folder = path.join(build, 'native');

/** @returns {boolean} */
export function nativeIsCurrent() {
  return isCurrent(product);
}

/** @param {import('./llama-headers.mjs').Report} report @throws {Problem} with the compiler's first error */
export async function buildNative(report) {
  const stamp = stampFor(product);
  copyLibraries(path.join(dist, 'native'));
  await must('configure', await configureArguments(), report);
  await must('compile', ['--build', folder, '--parallel', '2'], report);
  stamp();
}

/** @param {string} target a folder for llama.cpp's shared libraries */
export function copyLibraries(target) {
  fs.mkdirSync(target, { recursive: true });
  for (const name of fs.readdirSync(llamaLibraries)) {
    if (!name.endsWith('.so')) continue;
    const [source, copy] = [path.join(llamaLibraries, name), path.join(target, name)];
    if (fs.existsSync(copy) && fs.readFileSync(copy).equals(fs.readFileSync(source))) continue;
    // Renamed into place: a running process may have the old file mapped.
    fs.copyFileSync(source, `${copy}.new`);
    fs.renameSync(`${copy}.new`, copy);
  }
}

async function configureArguments() {
  const ninja = (await capture('ninja', ['--version'])).code === 0;
  const configured = fs.existsSync(path.join(folder, 'CMakeCache.txt'));
  return [
    ...['-S', at('native'), '-B', folder, '-DCMAKE_BUILD_TYPE=Release'],
    // A folder that was configured keeps its generator; CMake refuses another one.
    ...(ninja && !configured ? ['-G', 'Ninja'] : []),
    `-DREPOWAVE_LLAMA_SOURCE=${llamaSource}`,
    `-DREPOWAVE_LLAMA_LIBS=${llamaLibraries}`,
    `-DNODE_API_HEADERS=${at('node_modules', 'node-api-headers', 'include')}`,
    `-DNODE_ADDON_API=${at('node_modules', 'node-addon-api')}`,
  ];
}

/** @param {string} what @param {string[]} args @param {import('./llama-headers.mjs').Report} report */
async function must(what, args, report) {
  const { code, output } = await capture('cmake', args, {
    cwd: root,
    onLine: (line) => {
      const step = parseBuildStep(line);
      if (step) report(step.done, step.total, step.total === 100 ? 'percent' : 'steps');
    },
  });
  if (code === 0) return;
  const log = path.join(build, 'native.log');
  fs.writeFileSync(log, output);
  throw new Problem(`Could not ${what} the native part: ${firstError(output)} (everything is in ${log}).`);
}

/** @param {string} line of ninja (`[3/12] …`) or make (`[ 25%] …`) @returns {{ done: number, total: number } | undefined} */
export function parseBuildStep(line) {
  const match = /^\[\s*(\d+)(?:\/(\d+)|%)\]/.exec(line);
  return match ? { done: Number(match[1]), total: Number(match[2] ?? 100) } : undefined;
}

/** @param {string} output of CMake or a compiler @returns {string} the line that matters */
export function firstError(output) {
  const lines = output.split('\n').map((line) => line.trim());
  const index = lines.findIndex((line) => /\berror\b|undefined reference/i.test(line));
  const found = lines[index];
  if (found === undefined) return lines.filter(Boolean).at(-1) ?? 'it said nothing';
  // CMake puts the place on one line and the reason on the next that is not empty.
  return found.startsWith('CMake Error') ? `${found} ${lines.slice(index + 1).find(Boolean) ?? ''}` : found;
}
