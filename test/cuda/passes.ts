/** Passes of several tokens, and k-means: random ones, for the program of passes.cu, and what the reference makes of them. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import type { Shape } from '../reference/attention.ts';
import { createRandom } from '../reference/random.ts';
import { headOf, type Call, type PlacedRun } from '../reference/seen.ts';
import { attendTripartite } from '../reference/tripartite.ts';
import { HEAD_SIZES, makeRun, randomScores } from './calls.ts';
import { buildEmulated, type Compile } from './driver.ts';
import { encode, round, type Format } from './formats.ts';

/** passes.cu compiled by nvcc, where there is a GPU (native/cuda/README.md). */
export const gpuPasses = process.env.REPOWAVE_CUDA_PASSES;
export const PASSES_SOURCE = path.join(import.meta.dirname, 'passes.cu');

export const buildPasses = (name: string, options: Compile = {}): string =>
  buildEmulated(name, { main: PASSES_SOURCE, ...options });

export interface Prefill {
  name: string;
  shape: Shape;
  format: Format;
  call: Call;
  /** [tokens][queryHeads][dk] */
  q: Float32Array;
  splits: number;
  /** What is seen besides, merged in by the kernels: attended to on its own. */
  more: PlacedRun | null;
}

export interface PrefillOptions {
  headSize?: number;
  format?: Format;
  group?: number;
  tokens?: number;
  /** Tokens before the pass: of exact runs, and of the tail. */
  before?: number;
  window?: boolean;
  sinks?: boolean;
  softCap?: boolean;
  biases?: boolean;
  more?: boolean;
}

export function randomPrefill(seed: number, fixed: PrefillOptions = {}): Prefill {
  const random = createRandom(seed);
  const chance = (p: number) => random.uniform() < p;
  const pick = <T>(list: readonly T[]): T => list[random.integer(0, list.length - 1)]!;
  const headSize = fixed.headSize ?? pick(HEAD_SIZES);
  const format = fixed.format ?? pick(['f16', 'bf16'] as const);
  const kvHeads = chance(0.3) ? 2 : 1;
  const group = fixed.group ?? pick([1, 2, 3, 4, 7, 9]);
  const shape: Shape = { queryHeads: kvHeads * group, kvHeads, dk: headSize, dv: headSize };
  const tokens = fixed.tokens ?? random.integer(2, 40);
  const most = fixed.before ?? 60;
  const bias = () => ((fixed.biases ?? chance(0.3)) ? pick([0, -1.5, -Infinity]) : 0);
  const exact = Array.from({ length: random.integer(0, 2) }, () =>
    makeRun(random, shape, random.integer(1, most), format, bias()),
  );
  let position = 0;
  for (const run of exact) position = (run.position = position) + run.tokens;
  const tail = makeRun(random, shape, tokens + random.integer(0, most), format, 0);
  const call: Call = {
    tokens,
    ...randomScores(random, shape, fixed),
    window: (fixed.window ?? chance(0.3)) ? random.integer(1, 80) : 0,
    position: position + tail.tokens - tokens,
    budget: 0,
    estimate: false,
    exact,
    wave: [],
    background: [],
    tail,
  };
  const q = Float32Array.from({ length: tokens * shape.queryHeads * headSize }, () => random.normal());
  const more =
    (fixed.more ?? chance(0.3)) ? makeRun(random, shape, random.integer(1, 30), format, -0.5) : null;
  const name = `seed ${seed}: ${format}, ${shape.queryHeads}/${kvHeads} heads of ${headSize}, ${tokens} tokens`;
  return { name, shape, format, call, q, splits: random.integer(1, 3), more };
}

/** In the kernels' order: [kvHeads][tokens][group][d]. */
function byHead(
  x: ArrayLike<number>,
  { queryHeads, kvHeads }: Shape,
  tokens: number,
  d: number,
): Float32Array {
  const group = queryHeads / kvHeads;
  const y = new Float32Array(x.length);
  for (let head = 0; head < kvHeads; head++)
    for (let t = 0; t < tokens; t++)
      for (let i = 0; i < group * d; i++)
        y[(head * tokens + t) * group * d + i] = x[(t * queryHeads + head * group) * d + i]!;
  return y;
}

/** Every row alone against all of a run: its output, and the logarithm of its mass. */
function attendMore({ shape, call, q, more }: Prefill) {
  const { queryHeads, kvHeads, dk } = shape;
  const run = more!;
  const out = new Float64Array(call.tokens * queryHeads * dk);
  const lse = new Float64Array(call.tokens * queryHeads);
  for (let row = 0; row < lse.length; row++) {
    const head = Math.floor((row % queryHeads) / (queryHeads / kvHeads));
    const [k, v] = [
      headOf(run.k, run.tokens, kvHeads, head, dk),
      headOf(run.v, run.tokens, kvHeads, head, dk),
    ];
    let sum = 0;
    for (let j = 0; j < run.tokens; j++) {
      let logit = 0;
      for (let d = 0; d < dk; d++) logit += q[row * dk + d]! * call.scale * k[j * dk + d]!;
      const capped = call.softCap > 0 ? call.softCap * Math.tanh(logit / call.softCap) : logit;
      const weight = Math.exp(capped + run.bias);
      sum += weight;
      for (let d = 0; d < dk; d++) out[row * dk + d]! += weight * v[j * dk + d]!;
    }
    for (let d = 0; d < dk; d++) out[row * dk + d]! /= sum;
    lse[row] = Math.log(sum);
  }
  return { out, lse };
}

/** In float64. @returns [kvHeads][tokens][group][d] */
export function expectedPrefill(one: Prefill): Float32Array {
  const { shape, call, q, more } = one;
  // A run that every window sees, whatever its position.
  const far = more && { ...more, position: 1 << 28 };
  const whole = far ? { ...call, exact: [...call.exact, far] } : call;
  return byHead(attendTripartite(shape, q, whole).out, shape, call.tokens, shape.dv);
}

type Put = (...arrays: ArrayBufferView[]) => void;

function putSlots(put: Put, k: ArrayLike<number>, v: ArrayLike<number>, d: number, format: Format): void {
  const [keys, values] = [encode(k, format), encode(v, format)];
  const slots = new Uint16Array(2 * keys.length);
  for (let t = 0; t * d < keys.length; t++) {
    slots.set(keys.subarray(t * d, (t + 1) * d), 2 * t * d);
    slots.set(values.subarray(t * d, (t + 1) * d), (2 * t + 1) * d);
  }
  put(slots);
}

function putPrefill(put: Put, one: Prefill): void {
  const { shape, format, call, q, splits, more } = one;
  const { kvHeads, queryHeads, dk } = shape;
  const runs = [...call.exact, call.tail];
  put(Int32Array.of(format === 'f16' ? 0 : 1, dk, kvHeads, queryHeads / kvHeads, call.tokens));
  put(Int32Array.of(runs.length, call.window, splits));
  put(Float32Array.of(call.scale, call.softCap), Int32Array.of(call.sinks ? 1 : 0, more ? 1 : 0));
  put(byHead(q, shape, call.tokens, dk));
  if (call.sinks) put(Float32Array.from(call.sinks));
  if (more) {
    const { out, lse } = attendMore(one);
    put(byHead(out, shape, call.tokens, dk), byHead(lse, shape, call.tokens, 1));
  }
  for (let head = 0; head < kvHeads; head++) {
    for (const run of runs) {
      const isTail = run === call.tail;
      put(Int32Array.of(run.tokens), Float32Array.of(run.bias));
      put(Int32Array.of(isTail ? call.tokens - run.tokens : run.position - call.position, isTail ? 1 : 0));
      const of = (x: ArrayLike<number>) => headOf(x, run.tokens, kvHeads, head, dk);
      putSlots(put, of(run.k), of(run.v), dk, format);
    }
  }
}

export interface Points {
  format: Format;
  headSize: number;
  kvHeads: number;
  tokens: number;
  /** [kvHeads][tokens][headSize], numbers of the format. */
  keys: Float64Array;
}

export function randomPoints(
  seed: number,
  headSize: number,
  format: Format,
  kvHeads: number,
  tokens: number,
): Points {
  const { normal } = createRandom(seed);
  const keys = Float64Array.from(
    { length: kvHeads * tokens * headSize },
    (_, i) => normal() + (i % headSize) / 9,
  );
  return { format, headSize, kvHeads, tokens, keys: round(keys, format) };
}

function putPoints(put: Put, { format, headSize, kvHeads, tokens, keys }: Points): void {
  put(Int32Array.of(format === 'f16' ? 0 : 1, headSize, kvHeads, tokens));
  const values = new Float64Array(tokens * headSize);
  for (let head = 0; head < kvHeads; head++)
    putSlots(put, keys.subarray(head * values.length, (head + 1) * values.length), values, headSize, format);
}

export interface Passed {
  status: number | null;
  stderr: string;
  /** Per prefill as expectedPrefill; per points the centroid of each, [kvHeads][tokens]. */
  results: (Float32Array | Uint32Array)[];
}

export function tryPasses(program: string, work: readonly (Prefill | Points)[], seed = -1): Passed {
  const parts: Buffer[] = [];
  const put: Put = (...arrays) => {
    for (const x of arrays) parts.push(Buffer.from(x.buffer, x.byteOffset, x.byteLength));
  };
  for (const one of work) {
    put(Int32Array.of('call' in one ? 0 : 1, seed));
    if ('call' in one) putPrefill(put, one);
    else putPoints(put, one);
  }
  const { status, stdout, stderr } = spawnSync('setarch', ['-R', program], {
    input: Buffer.concat(parts),
    maxBuffer: 1 << 28,
    env: { ...process.env, ASAN_OPTIONS: 'detect_stack_use_after_return=0' },
  });
  let at = 0;
  const words = (count: number) => new Uint8Array(stdout.subarray(at, (at += 4 * count))).buffer;
  const results = work.map((one) =>
    status !== 0
      ? new Float32Array()
      : 'call' in one
        ? new Float32Array(words(one.q.length))
        : new Uint32Array(words(one.kvHeads * one.tokens)),
  );
  if (status === 0) assert.equal(at, stdout.length, 'the program wrote another number of results');
  return { status, stderr: stderr.toString(), results };
}

/** Fails when the program does not end well. */
export function runPasses(
  program: string,
  work: readonly (Prefill | Points)[],
  seed = -1,
): Passed['results'] {
  const passed = tryPasses(program, work, seed);
  assert.equal(passed.status, 0, passed.stderr);
  return passed.results;
}
