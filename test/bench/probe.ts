/** What the machine can do at most, measured in the same run as what is held against it. */
import fs from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { capture } from '../../scripts/children.mjs';
import { at, build } from '../../scripts/paths.mjs';
import { isCurrent, stampFor } from '../../scripts/stamps.mjs';

const program = path.join(build, 'machine-probe', 'machine_probe');
const product = {
  name: 'machine-probe',
  inputs: ['test/bench/machine_probe.cpp', 'test/bench/probe.ts'],
  outputs: ['build/machine-probe/machine_probe'],
};
const Result = z.object({ readBytes: z.number().positive(), flops: z.number().positive() });

/** Per second, over all threads. */
export type Peak = z.infer<typeof Result>;

export async function probeMachine(threads: number): Promise<Peak> {
  if (!isCurrent(product)) await buildProbe();
  const { code, output } = await capture(program, [String(threads)]);
  if (code !== 0) throw new Error(`the probe of the machine failed with ${code}:\n${output}`);
  return Result.parse(JSON.parse(output));
}

async function buildProbe(): Promise<void> {
  const stamp = stampFor(product);
  fs.mkdirSync(path.dirname(program), { recursive: true });
  const source = at('test', 'bench', 'machine_probe.cpp');
  // Sums in any order, or the compiler may not use its vectors.
  const flags = [
    '-O3',
    '-march=native',
    '-ffast-math',
    '-funroll-loops',
    '-mprefer-vector-width=512',
    '-std=c++17',
    '-pthread',
  ];
  const { code, output } = await capture('c++', [...flags, '-o', program, source]);
  if (code !== 0) throw new Error(`the probe of the machine could not be built:\n${output}`);
  stamp();
}
