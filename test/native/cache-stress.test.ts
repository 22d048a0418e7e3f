import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

const root = path.resolve(import.meta.dirname, '../..');
const SOURCES = [
  'block_cache',
  'block_cache_upkeep',
  'checksum',
  'cluster_reader',
  'page_arena',
  'packing',
  'stored_file',
];

/** @returns the program */
function build(sanitizers: string): string {
  const folder = path.join(root, 'build/cache-stress');
  fs.mkdirSync(folder, { recursive: true });
  const program = path.join(folder, sanitizers.split(',')[0]!);
  execFileSync(
    'c++',
    [
      ...['-std=c++20', '-O1', '-g1', '-pthread', `-fsanitize=${sanitizers}`, '-fno-sanitize-recover=all'],
      ...['-I', path.join(root, 'native'), path.join(import.meta.dirname, 'cache_stress.cpp')],
      ...SOURCES.map((name) => path.join(root, 'native/wave', `${name}.cpp`)),
      path.join(root, 'native/kernels/scalar.cpp'),
      ...['-o', program],
    ],
    { stdio: 'pipe' },
  );
  return program;
}

for (const [what, sanitizers] of [
  ['races with nothing', 'thread'],
  ['touches no memory but its own', 'address,undefined'],
] as const) {
  test(`the block cache ${what} while sessions, prefetching, capacity and segments change at once`, () => {
    const program = build(sanitizers);
    const files = fs.mkdtempSync(`${program}-`);
    try {
      // Addresses as ThreadSanitizer expects them, on kernels that shuffle them more widely.
      execFileSync('setarch', ['-R', program, files, '150'], { stdio: 'pipe' });
    } finally {
      fs.rmSync(files, { recursive: true });
    }
  });
}
