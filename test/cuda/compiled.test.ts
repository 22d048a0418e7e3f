/** What NVIDIA's compiler makes of the kernels, where `npm run cuda` has built them. Nothing runs on a GPU here. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

const root = path.resolve(import.meta.dirname, '../..');
const log = path.join(root, 'build/cuda/library/resources.log');
const library = path.join(root, 'dist/native/librepowave_cuda.so');

const TARGETS = [80, 86, 89, 90, 100, 120];
/** Registers of a thread, by the blocks that are to fit into a multiprocessor with its 65,536: 2 of attention (1 for heads of 256), 3 of scoring. */
const LIMITS: [kernel: RegExp, registers: number][] = [
  [/attend_kernel.*Li256E/, 255],
  [/attend_kernel/, 168],
  [/score_kernel.*Li256E/, 255],
  [/score_kernel/, 168],
  [/select_kernel/, 64],
  [/./, 64],
];

const skip =
  fs.existsSync(log) && fs.existsSync(library) ? false : 'npm run cuda has not built the CUDA part';

interface Compiled {
  kernel: string;
  target: number;
  spilled: number;
  registers: number;
}

/** Reads what ptxas tells with -v. */
function compiled(): Compiled[] {
  const text = fs.readFileSync(log, 'utf8');
  const entry =
    /Compiling entry function '(\S+)' for 'sm_(\d+)a?'[^]*?(\d+) bytes spill stores, (\d+) bytes spill loads[^]*?Used (\d+) registers/g;
  return [...text.matchAll(entry)].map(([, kernel, target, stores, loads, registers]) => ({
    kernel: kernel!,
    target: Number(target),
    spilled: Number(stores) + Number(loads),
    registers: Number(registers),
  }));
}

test('compiled for every target: no spills, and registers as planned', { skip }, (t) => {
  const all = compiled();
  for (const target of TARGETS) {
    const own = all.filter((one) => one.target === target);
    // Two formats of five head sizes, and four kernels that are the same for all.
    assert.ok(own.length >= 24, `sm_${target}: ${own.length} kernels`);
    for (const { kernel, spilled, registers } of own) {
      const limit = LIMITS.find(([pattern]) => pattern.test(kernel))![1];
      assert.equal(spilled, 0, `${kernel} spills on sm_${target}`);
      assert.ok(registers <= limit, `${kernel} takes ${registers} registers on sm_${target}`);
    }
    const most = Math.max(
      ...own.filter(({ kernel }) => !kernel.includes('Li256E')).map((one) => one.registers),
    );
    t.diagnostic(`sm_${target}: ${own.length} kernels, at most ${most} registers, heads of 256 aside`);
  }
});

test('compiled: the library needs no other library of CUDA', { skip }, () => {
  const needed = execFileSync('readelf', ['-d', library], { encoding: 'utf8' });
  assert.doesNotMatch(needed, /NEEDED.*(cuda|cublas|nvrtc)/i);
  assert.match(needed, /NEEDED.*libc\.so/);
});
