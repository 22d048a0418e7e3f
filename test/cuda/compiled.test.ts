/** What NVIDIA's compiler makes of the kernels, where `npm run cuda` has built them. Nothing runs on a GPU here. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

const root = path.resolve(import.meta.dirname, '../..');
interface Edition {
  /** What makes it. */
  command: string;
  compiler: string;
  log: string;
  library: string;
  targets: number[];
}

const edition = (command: string, compiler: string, suffix: string, targets: number[]): Edition => ({
  ...{ command, compiler, targets },
  log: path.join(root, `build/cuda/library${suffix}/resources.log`),
  library: path.join(root, `dist/native/librepowave_cuda${suffix}.so`),
});

const EDITIONS = [
  edition('npm run cuda', 'nvcc 13.0', '', [80, 86, 89, 90, 100, 120]),
  edition('npm run cuda -- 12.9', 'clang for CUDA 12.9', '12', [80, 86, 89, 90]),
];

/** Registers of a thread, by the blocks that are to fit into a multiprocessor with its 65,536: 2 of attention (1 for heads of 256), 3 of scoring and assigning, 1 of 256 threads for several tokens. */
const LIMITS: [kernel: RegExp, registers: number][] = [
  [/attend_kernel.*Li256E/, 255],
  [/attend_kernel/, 168],
  [/score_kernel.*Li256E/, 255],
  [/score_kernel/, 168],
  [/prefill_kernel/, 255],
  [/assign_kernel/, 128],
  [/select_kernel/, 64],
  [/./, 64],
];

const missing = ({ command, log, library }: Edition) =>
  fs.existsSync(log) && fs.existsSync(library) ? false : `${command} has not built the CUDA part`;

interface Compiled {
  kernel: string;
  target: number;
  spilled: number;
  registers: number;
}

/** Reads what ptxas tells with -v. */
function compiled(log: string): Compiled[] {
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

for (const { targets, compiler, log, library, ...one } of EDITIONS) {
  const skip = missing({ targets, compiler, log, library, ...one });

  test(`compiled by ${compiler} for every target: no spills, and registers as planned`, { skip }, (t) => {
    const all = compiled(log);
    for (const target of targets) {
      const own = all.filter((kernel) => kernel.target === target);
      // Of five head sizes four kernels in two formats and two of k-means; five that are the same for all.
      assert.ok(own.length >= 60, `sm_${target}: ${own.length} kernels`);
      for (const { kernel, spilled, registers } of own) {
        const limit = LIMITS.find(([pattern]) => pattern.test(kernel))![1];
        assert.equal(spilled, 0, `${kernel} spills on sm_${target}`);
        assert.ok(registers <= limit, `${kernel} takes ${registers} registers on sm_${target}`);
      }
      const most = Math.max(
        ...own.filter(({ kernel }) => !kernel.includes('Li256E')).map(({ registers }) => registers),
      );
      t.diagnostic(`sm_${target}: ${own.length} kernels, at most ${most} registers, heads of 256 aside`);
    }
  });

  test(`compiled by ${compiler}: the library needs no other library of CUDA`, { skip }, () => {
    const needed = execFileSync('readelf', ['-d', library], { encoding: 'utf8' });
    assert.doesNotMatch(needed, /NEEDED.*(cuda|cublas|nvrtc)/i);
    assert.match(needed, /NEEDED.*libc\.so/);
  });
}
