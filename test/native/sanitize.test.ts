import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { before, test } from 'node:test';
import { addon, runTestFile } from './wave-addon.ts';

const root = path.resolve(import.meta.dirname, '../..');
const folder = path.join(root, 'build/native-sanitize');

/** Those that run kernels, once per instruction set, and those that hardly do, once. */
const KERNEL_FILES = ['kernels', 'wave-attention', 'wave-clusters', 'wave-packing', 'wave-views'];
const OTHER_FILES = ['wave-segment', 'wave-selection'];

/** Configures once, and compiles what has changed. */
function build(): void {
  const modules = path.join(root, 'node_modules');
  if (!fs.existsSync(path.join(folder, 'CMakeCache.txt'))) {
    execFileSync('cmake', [
      ...[
        '-S',
        path.join(root, 'native'),
        '-B',
        folder,
        '-DREPOWAVE_SANITIZE=ON',
        '-DCMAKE_BUILD_TYPE=Release',
      ],
      `-DNODE_API_HEADERS=${path.join(modules, 'node-api-headers/include')}`,
      `-DNODE_ADDON_API=${path.join(modules, 'node-addon-api')}`,
    ]);
  }
  execFileSync('cmake', ['--build', folder, '--target', 'kernels_test', '--parallel', '2'], {
    stdio: 'pipe',
  });
}

/** The runtime has to be loaded before Node, which is built without it. */
const environment = {
  LD_PRELOAD: execFileSync('c++', ['-print-file-name=libasan.so'], { encoding: 'utf8' }).trim(),
  // Node keeps much until it ends.
  ASAN_OPTIONS: 'detect_leaks=0',
  UBSAN_OPTIONS: 'print_stacktrace=1',
  REPOWAVE_TEST_ADDON: path.join(folder, 'kernels_test.node'),
  REPOWAVE_TEST_EFFORT: '0.08',
};

before(build);
const isas = addon.isas();
for (const isa of isas) {
  for (const file of isa === isas.at(-1) ? [...KERNEL_FILES, ...OTHER_FILES] : KERNEL_FILES) {
    test(`${file} touches no memory but its own and relies on nothing undefined, on ${isa}`, () => {
      runTestFile(path.join(import.meta.dirname, `${file}.test.ts`), { ...environment, REPOWAVE_ISA: isa });
    });
  }
}
