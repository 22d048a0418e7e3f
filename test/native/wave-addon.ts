/** The test addon of kernels_addon.cpp and the other *_addon.cpp, and what its tests share. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createRequire } from 'node:module';
import path from 'node:path';
import { test } from 'node:test';
import type { Shape } from '../reference/attention.ts';
import type { Build, Partition } from '../reference/clusters.ts';
import type { Call, PlacedRun } from '../reference/seen.ts';

export interface Stored {
  kvHeads: number;
  dk: number;
  dv: number;
  f16: boolean;
}

export interface Summaries {
  keys: Float32Array;
  values: Float32Array;
  logSizes: Float32Array;
}

export interface NativeIndex {
  fine: Summaries;
  coarse: Summaries;
  starts: Uint32Array;
  order: Uint32Array;
}

export interface NativeRecord {
  zones: Float32Array;
  retrievedTokens: number;
  retrievedClusters: number;
  lateClusters: number;
  bytes: number;
  recall?: number;
  captured?: number;
}

export interface NativeAttended {
  out: Float32Array;
  mass: Float32Array;
  records: NativeRecord[];
}

export interface HeadQueries {
  layer: number;
  kvHead: number;
  /** [count][dk], multiplied by the softmax scale */
  q: Float32Array;
}

export const DETAIL = { exact: 0, wave: 1, coarse: 2 } as const;

export interface NativeView {
  segment: number;
  detail: number;
  bias: number;
  position: number;
}

type Biases = Float32Array | null;

interface TestAddon {
  isas(): string[];
  isa(): string;
  toF16(isa: string, x: Float32Array): Uint16Array;
  fromF16(isa: string, x: Uint16Array): Float32Array;
  fromSteps(isa: string, steps: Int8Array, step: number, mean: Float32Array, f16: boolean): Float32Array;
  score(
    isa: string,
    options: { rows: number; dk: number; keys: number; softCap: number; stride: number; f16: boolean },
    q: Float32Array,
    k: Float32Array,
  ): Float32Array;
  weigh(
    isa: string,
    options: { rows: number; keys: number; dv: number; bias: number; f16: boolean },
    logits: Float32Array,
    biases: Biases,
    v: Float32Array,
  ): { m: Float32Array; l: Float32Array; o: Float32Array };
  addMass(
    isa: string,
    logits: Float32Array,
    biases: Biases,
    m: number,
    l: number,
    mass: Float32Array,
  ): Float32Array;
  multiply(isa: string, a: Float32Array, rows: number, bt: Float32Array, columns: number): Float32Array;
  hasMatmul(): boolean;
  multiplyQuantized(format: string, rows: Uint8Array, columns: number, x: Float32Array): Float32Array;
  cluster(x: Float32Array, points: number, d: number): Partition;
  buildIndex(options: Stored, run: PlacedRun): NativeIndex[];
  choose(ranks: Float32Array, sizes: Uint32Array[], budget: number): Uint32Array;
  writeSegment(
    file: string,
    options: Stored,
    layers: PlacedRun[],
    meta: string,
    threads: number,
    withoutIndex: number[],
    packed?: boolean,
  ): void;
  readSegment(file: string): {
    tokens: number;
    meta: string;
    indexBytes: number;
    heads: (NativeIndex & { slots: Float32Array; hasIndex: boolean })[];
  };
  openSegment(file: string): void;
  verifySegment(file: string): void;
  headMass(files: string[], heads: HeadQueries[], threads: number): Float32Array;
  attend(
    options: Omit<Call, 'sinks' | 'exact' | 'wave' | 'background' | 'tail'> &
      Shape & {
        f16: boolean;
        threads: number;
        record: boolean;
        sample: boolean;
        repeat: number;
        cacheBytes: number;
        wait: boolean;
      },
    q: Float32Array,
    seen: Pick<Call, 'sinks' | 'exact' | 'wave' | 'background' | 'tail'>,
  ): NativeAttended;
  attendViews(
    files: string[],
    options: Omit<Call, 'sinks' | 'exact' | 'wave' | 'background' | 'tail'> & {
      queryHeads: number;
      sample: boolean;
      capacity: number;
    },
    q: Float32Array,
    tail: PlacedRun,
    looks: NativeView[][],
    layer: number,
  ): Pick<NativeAttended, 'out' | 'mass'>[];
}

const build = path.resolve(import.meta.dirname, '../../build');
/** Another build of the same addon can be named: sanitize.test.ts does. */
export const addonPath = process.env.REPOWAVE_TEST_ADDON ?? path.join(build, 'native/kernels_test.node');
export const addon = createRequire(import.meta.url)(addonPath) as TestAddon;

/** More random cases make the same test stronger and slower: 1 is the usual number, sanitize.test.ts takes fewer. */
export const effort = Number(process.env.REPOWAVE_TEST_EFFORT ?? 1);

/**
 * Runs the tests of a file once per instruction set, each in its own process, since a process settles on one.
 * @param file import.meta.filename
 */
export function perInstructionSet(file: string, define: (isa: string) => void): void {
  const settled = process.env.REPOWAVE_ISA;
  if (settled !== undefined) {
    assert.equal(addon.isa(), settled);
    define(settled);
    return;
  }
  for (const isa of addon.isas()) {
    test(`the ${isa} kernels pass ${path.basename(file)}`, () => {
      runTestFile(file, { REPOWAVE_ISA: isa });
    });
  }
}

/** Runs a test file in a process of its own; throws with what it printed when a test fails. */
export function runTestFile(file: string, env: Record<string, string>): void {
  try {
    execFileSync(process.execPath, ['--import', 'tsx', '--test', '--test-reporter=spec', file], {
      env: { ...process.env, NODE_TEST_CONTEXT: undefined, ...env },
      stdio: 'pipe',
    });
  } catch (error) {
    const { stdout, stderr } = error as { stdout: Buffer; stderr: Buffer };
    assert.fail(`${path.basename(file)} failed:\n${stdout.toString()}\n${stderr.toString()}`);
  }
}

export function relativeError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  assert.equal(actual.length, expected.length);
  let difference = 0;
  let norm = 0;
  for (let i = 0; i < expected.length; i++) {
    difference += (actual[i]! - expected[i]!) ** 2;
    norm += expected[i]! ** 2;
  }
  return difference === 0 ? 0 : Math.sqrt(difference / norm);
}

/** What storage makes of numbers. */
export function rounded(x: ArrayLike<number>, f16: boolean): Float32Array {
  const single = new Float32Array(x);
  return f16 ? addon.fromF16('scalar', addon.toF16('scalar', single)) : single;
}

/**
 * The reference's index with the native partition and rounding: near-ties in k-means, which rounding decides, must not
 * count as errors of attention.
 */
export function nativeBuild(f16: boolean): Build {
  return {
    cluster: (x, points, d) => addon.cluster(new Float32Array(x), points, d),
    round: (x) => new Float64Array(rounded(x, f16)),
  };
}

/** Random K and V; with `f16` numbers that half precision holds. */
export function makeRun(
  normal: () => number,
  shape: { kvHeads: number; dk: number; dv: number },
  tokens: number,
  { bias = 0, position = 0, f16 = false } = {},
): PlacedRun {
  const fill = (d: number) => {
    const x = new Float32Array(tokens * shape.kvHeads * d);
    for (let i = 0; i < x.length; i++) x[i] = normal();
    return rounded(x, f16);
  };
  return { tokens, k: fill(shape.dk), v: fill(shape.dv), bias, position };
}

/** Runs the native attention on a reference's call. */
export function attendNative(
  shape: Shape,
  q: Float32Array,
  call: Call,
  {
    f16 = false,
    threads = 1,
    sample = false,
    repeat = 1,
    record = call.tokens === 1,
    cacheBytes = 1 << 26,
    wait = true,
  } = {},
): NativeAttended {
  const { exact, wave, background, tail, sinks, ...options } = call;
  const given = { ...options, ...shape, f16, threads, record, sample, repeat, cacheBytes, wait };
  return addon.attend(given, q, {
    exact,
    wave,
    background,
    tail,
    sinks: sinks && new Float32Array(sinks),
  });
}
