/** The emulator itself: it has to notice every kind of fault, and nothing about right kernels. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { before, test } from 'node:test';
import { compile } from './driver.ts';
import { SANITIZERS } from './sanitizers.ts';

type Build = 'plain' | keyof typeof SANITIZERS;

const RIGHT = [
  'reduce',
  'shuffle',
  'votes of disjoint masks',
  'shared memory',
  'global memory',
  'wide loads',
  'count',
  'last block',
  'exchange in a warp',
];
/** What must notice each fault; others may. */
const FAULTS: Record<string, Build> = {
  'reduce without a barrier': 'tsan',
  'reduce without a barrier in the loop': 'tsan',
  'two barriers': 'plain',
  'shuffle after a lane has left': 'plain',
  'votes of overlapping masks': 'plain',
  'shared memory that nobody wrote': 'plain',
  'beyond shared memory': 'asan',
  'beyond global memory': 'asan',
  'misaligned wide loads': 'asan',
  'count without atomics': 'tsan',
  "a block that reads another's result": 'tsan',
  'last block without a fence': 'tsan',
  'exchange in a warp without a barrier': 'tsan',
};
const SEEDS = [-1, 1, 2, 3];

const programs = {} as Record<Build, string>;
before(() => {
  const source = [path.join(import.meta.dirname, 'emulator_faults.cu')];
  programs.plain = compile('faults', source);
  for (const [name, flags] of Object.entries(SANITIZERS))
    programs[name as Build] = compile(`faults-${name}`, source, { flags });
});

/** Whether nothing was noticed. */
function passes(build: Build, kernel: string, seed: number): boolean {
  const { status } = spawnSync('setarch', ['-R', programs[build], kernel, String(seed)], {
    env: { ...process.env, ASAN_OPTIONS: 'detect_stack_use_after_return=0' },
  });
  return status === 0;
}

for (const kernel of RIGHT) {
  test(`emulated: nothing is wrong with "${kernel}"`, () => {
    for (const build of Object.keys(programs) as Build[])
      for (const seed of SEEDS) assert.ok(passes(build, kernel, seed), `${build}, schedule ${seed}`);
  });
}

for (const [kernel, build] of Object.entries(FAULTS)) {
  test(`emulated: "${kernel}" is noticed (${build})`, () => {
    assert.ok(
      SEEDS.some((seed) => !passes(build, kernel, seed)),
      'nothing noticed it',
    );
  });
}
