/** Formats the C++ sources; with `--check` it only tells which ones are not formatted, and fails. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { at } from './paths.mjs';

const native = at('native');
const files = fs
  .readdirSync(native, { recursive: true, encoding: 'utf8' })
  .filter((name) => /\.(cpp|h|cu|cuh)$/.test(name))
  .map((name) => at('native', name));

if (files.length > 0) {
  const mode = process.argv.includes('--check') ? ['--dry-run', '-Werror'] : ['-i'];
  const { status } = spawnSync(
    process.execPath,
    [at('node_modules/clang-format/index.js'), ...mode, ...files],
    { stdio: 'inherit' },
  );
  process.exitCode = status ?? 1;
}
