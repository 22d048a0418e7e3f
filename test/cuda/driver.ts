/** The program of driver.cu: builds it, and has it run steps of attention. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { encode, type Format } from './formats.ts';

const root = path.resolve(import.meta.dirname, '../..');

/** As in native/kernels/cuda/structs.h. */
export const kPageTokens = 8;
export const kTileClusters = 32;

/** What the structs of the same names in native/kernels/cuda/structs.h hold. K and V are of one KV head. */
export interface Run {
  tokens: number;
  bias: number;
  /** [tokens][D] */
  k: ArrayLike<number>;
  v: ArrayLike<number>;
}
export interface Place {
  /** Of the cluster's tokens; null when they cannot be had. */
  run: Run | null;
  tokens: number;
}
export interface Tile {
  count: number;
  bias: number;
  /** [count][D] */
  keys: ArrayLike<number>;
  values: ArrayLike<number>;
  logSizes: ArrayLike<number>;
  places: Place[] | null;
}
export interface Step {
  format: Format;
  headSize: number;
  kvHeads: number;
  group: number;
  budget: number;
  maxPages: number;
  estimate: boolean;
  scale: number;
  softCap: number;
  blocks: { score: number; exact: number; estimate: number };
  /** [kvHeads][group][D] */
  q: ArrayLike<number>;
  /** [kvHeads][group] */
  sinks: ArrayLike<number> | null;
  /** [kvHeads], as many for each */
  tiles: Tile[][];
  runs: Run[][];
  /** Whether to tell the mass that each token of a page got, and all coarse summaries together. */
  mass: boolean;
  /** Whether every other cluster is moved to another place first. */
  moves: boolean;
}

export interface Outcome {
  out: Float32Array;
  lse: Float32Array;
  reports: { chosen: number; late: number; pages: number; overflow: number }[];
  /** [kvHeads][tiles]: bit c is set when cluster c of the tile was retrieved. */
  bits: Uint32Array;
  /** [kvHeads][maxPages][8]; empty unless asked for. */
  mass: Float32Array;
  /** [kvHeads][group]; likewise. */
  coarse: Float32Array;
}

/** How threads take turns, see native/kernels/cuda/emulator/block.h: in order, by chance, one warp ahead, one thread held back. */
export const SCHEDULES = [-1, 3, 1, 2];

export interface Compile {
  flags?: string[];
  /** The program that has the kernels run; driver.cu where nothing is said. */
  main?: string;
  /** An object file of it, made with the same flags. */
  driver?: string;
  /** Where `kernels/cuda` lies. */
  sources?: string;
}

/** Compiles CUDA sources for the emulator. @returns the program, in build/cuda */
export function compile(
  name: string,
  files: string[],
  { flags = ['-O2'], sources = path.join(root, 'native') }: Compile = {},
): string {
  const folder = path.join(root, 'build/cuda');
  fs.mkdirSync(folder, { recursive: true });
  const program = path.join(folder, name);
  const warnings = ['-Wall', '-Wextra', '-Werror', '-Wno-unknown-pragmas'];
  execFileSync(
    'c++',
    ['-x', 'c++', '-std=c++20', '-g1', ...warnings, ...flags, '-I', sources, ...files, '-o', program],
    { stdio: 'pipe' },
  );
  return program;
}

/**
 * The same program compiled by nvcc, where there is a GPU: `REPOWAVE_CUDA_DRIVER` names it
 * (native/cuda/README.md).
 */
export const gpuDriver = process.env.REPOWAVE_CUDA_DRIVER;

const STEPS_SOURCE = path.join(import.meta.dirname, 'driver.cu');

/** Compiles driver.cu, or another program, alone, for several versions of the kernels. */
export function compileDriver(name: string, flags: string[], main = STEPS_SOURCE): string {
  return compile(name, [main], { flags: [...flags, '-c'] });
}

/** Compiles the kernels and the program that has them run. */
export function buildEmulated(name: string, options: Compile = {}): string {
  const library = path.join(options.sources ?? path.join(root, 'native'), 'kernels/cuda/library.cu');
  const driver = options.driver ? ['-x', 'none', options.driver] : [options.main ?? STEPS_SOURCE];
  return compile(name, [library, ...driver], options);
}

/** The library for the emulator, with the C ABI that librepowave_cuda.so has; or the one for a GPU that is named. */
export function buildEmulatedLibrary(): string {
  return process.env.REPOWAVE_CUDA_LIBRARY ?? compileLibrary('librepowave_emulated.so');
}

/** The library for the emulator. @param sources see {@link Compile} */
export function compileLibrary(name: string, sources = path.join(root, 'native')): string {
  const files = [
    path.join(sources, 'kernels/cuda/library.cu'),
    path.join(import.meta.dirname, 'emulated_device.cpp'),
  ];
  return compile(name, files, { flags: ['-O2', '-fPIC', '-shared'], sources });
}

/** What the program ended with: by itself, or stopped by a check. */
export interface Ended {
  status: number | null;
  stderr: string;
  outcomes: Outcome[];
}

export function tryRun(program: string, steps: readonly Step[], seed = -1): Ended {
  const input = Buffer.concat(steps.map((step) => encodeStep(step, seed)));
  // Addresses as ThreadSanitizer expects them, on kernels that shuffle them more widely.
  const { status, stdout, stderr } = spawnSync('setarch', ['-R', program], {
    input,
    maxBuffer: 1 << 28,
    env: { ...process.env, ASAN_OPTIONS: 'detect_stack_use_after_return=0' },
  });
  return {
    status,
    stderr: stderr.toString(),
    outcomes: status === 0 ? decodeOutcomes(stdout, steps) : [],
  };
}

/** Fails when the program does not end well. */
export function run(program: string, steps: readonly Step[], seed = -1): Outcome[] {
  const ended = tryRun(program, steps, seed);
  assert.equal(ended.status, 0, ended.stderr);
  return ended.outcomes;
}

function encodeStep(step: Step, seed: number): Buffer {
  const parts: Buffer[] = [];
  const put = (array: ArrayBufferView) => {
    parts.push(Buffer.from(array.buffer, array.byteOffset, array.byteLength));
  };
  const ints = (...x: number[]) => put(Int32Array.from(x));
  const floats = (x: ArrayLike<number>) => put(Float32Array.from(x));
  const slots = ({ tokens, k, v }: Run) => {
    const d = step.headSize;
    const [keys, values] = [encode(k, step.format), encode(v, step.format)];
    const both = new Uint16Array(tokens * 2 * d);
    for (let t = 0; t < tokens; t++) {
      both.set(keys.subarray(t * d, (t + 1) * d), 2 * t * d);
      both.set(values.subarray(t * d, (t + 1) * d), (2 * t + 1) * d);
    }
    put(both);
  };
  ints(step.format === 'f16' ? 0 : 1, step.headSize, step.kvHeads, step.group);
  ints(step.tiles[0]!.length, step.runs[0]!.length, step.budget, step.maxPages, step.estimate ? 1 : 0);
  floats([step.scale, step.softCap]);
  ints(step.blocks.score, step.blocks.exact, step.blocks.estimate);
  ints(seed, step.sinks ? 1 : 0, step.mass ? 1 : 0, step.moves ? 1 : 0);
  floats(step.q);
  if (step.sinks) floats(step.sinks);
  for (const tile of step.tiles.flat()) {
    ints(tile.count);
    floats([tile.bias]);
    ints(tile.places ? 1 : 0);
    put(encode(tile.keys, step.format));
    put(encode(tile.values, step.format));
    floats(tile.logSizes);
    for (const place of tile.places ?? []) {
      ints(place.tokens, place.run ? 1 : 0);
      if (place.run) slots(place.run);
    }
  }
  for (const each of step.runs.flat()) {
    ints(each.tokens);
    floats([each.bias]);
    floats(each.k);
    floats(each.v);
  }
  return Buffer.concat(parts);
}

function decodeOutcomes(bytes: Buffer, steps: readonly Step[]): Outcome[] {
  let at = 0;
  const words = (count: number) => {
    const part = bytes.subarray(at, (at += 4 * count));
    assert.equal(part.length, 4 * count, 'the program wrote less than it should');
    return new Uint8Array(part).buffer;
  };
  const outcomes = steps.map(({ kvHeads, group, headSize, tiles, maxPages, mass }): Outcome => {
    const [out, lse] = [
      new Float32Array(words(kvHeads * group * headSize)),
      new Float32Array(words(kvHeads * group)),
    ];
    const reports = Array.from({ length: kvHeads }, () => {
      const [chosen, late, pages, overflow] = new Uint32Array(words(4));
      return { chosen: chosen!, late: late!, pages: pages!, overflow: overflow! };
    });
    return {
      out,
      lse,
      reports,
      bits: new Uint32Array(words(kvHeads * tiles[0]!.length)),
      mass: new Float32Array(words(mass ? kvHeads * maxPages * kPageTokens : 0)),
      coarse: new Float32Array(words(mass ? kvHeads * group : 0)),
    };
  });
  assert.equal(at, bytes.length, 'the program wrote more than it should');
  return outcomes;
}
