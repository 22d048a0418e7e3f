/**
 * build/cuda/kit: what test/cuda/gpu.sh needs on a machine that has a GPU and nvcc but neither Node nor a network. Node
 * itself, the tests as single files, and the native part with llama.cpp's libraries for processors that stand beside
 * such GPUs. Under 64 MiB.
 */
import fs from 'node:fs';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { build as bundle } from 'esbuild';
import { at, build, dist } from './paths.mjs';

const kit = path.join(build, 'cuda', 'kit');
const TESTS = ['cuda/attention', 'cuda/passes', 'native/emulated-device', 'native/emulated-reading'];
const OTHER_PROCESSORS = /^libggml-cpu-(?!x64|haswell|skylakex|icelake|sapphirerapids|zen4)|^libllama-common/;
const MOST_BYTES = 64 << 20;

fs.rmSync(kit, { recursive: true, force: true });
await bundle({
  entryPoints: Object.fromEntries(TESTS.map((name) => [`${name}.test`, at('test', `${name}.test.ts`)])),
  outdir: path.join(kit, 'test'),
  outExtension: { '.js': '.mjs' },
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
});
const native = path.join(kit, 'dist', 'native');
fs.mkdirSync(native, { recursive: true });
for (const file of fs.readdirSync(path.join(dist, 'native'))) {
  // The library of the CUDA kernels is built there.
  if (!OTHER_PROCESSORS.test(file) && !file.includes('cuda'))
    fs.copyFileSync(path.join(dist, 'native', file), path.join(native, file));
}
await pipeline(
  fs.createReadStream(process.execPath),
  createGzip({ level: 9 }),
  fs.createWriteStream(path.join(kit, 'node.gz')),
);

const files = fs.readdirSync(kit, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
const bytes = files.reduce(
  (sum, { parentPath, name }) => sum + fs.statSync(path.join(parentPath, name)).size,
  0,
);
console.log(`${path.relative(at(), kit)}: ${files.length} files, ${(bytes / (1 << 20)).toFixed(1)} MiB`);
if (bytes > MOST_BYTES) {
  console.error('That is more than 64 MiB.');
  process.exitCode = 1;
}
