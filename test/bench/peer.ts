/** llama-bench, built from llama.cpp's own source against the very libraries that we use. */
import fs from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { capture } from '../../scripts/children.mjs';
import { copyLibraries } from '../../scripts/native.mjs';
import { build, llamaSource } from '../../scripts/paths.mjs';
import { isCurrent, stampFor } from '../../scripts/stamps.mjs';
import type { Measurement } from './measurement.ts';

const folder = path.join(build, 'llama-bench');
const program = path.join(folder, 'llama-bench');
const product = {
  name: 'llama-bench',
  inputs: ['build/llama.cpp/.complete', 'test/bench/peer.ts'],
  outputs: ['build/llama-bench/llama-bench'],
};
const libraries = ['libllama-common.so', 'libllama.v0.5.0.so', 'libggml.v0.5.0.so', 'libggml-base.so'];
const Model = z.array(z.object({ model_n_params: z.number().positive() })).length(1);
const Results = z.array(z.object({ samples_ts: z.array(z.number().positive()) })).length(1);

/** Builds llama-bench unless it is there; takes about half a minute. */
export async function buildPeer(): Promise<void> {
  if (isCurrent(product)) return;
  const stamp = stampFor(product);
  copyLibraries(folder);
  const sources = fs
    .readdirSync(path.join(llamaSource, 'tools/llama-bench'))
    .filter((name) => name.endsWith('.cpp'));
  const { code, output } = await capture('c++', [
    ...['-O2', '-std=c++17', '-o', program],
    ...['include', 'ggml/include', 'ggml/src', 'common', 'vendor'].map(
      (name) => `-I${path.join(llamaSource, name)}`,
    ),
    ...sources.map((name) => path.join(llamaSource, 'tools/llama-bench', name)),
    ...[`-L${folder}`, ...libraries.map((name) => `-l:${name}`), '-Wl,-rpath,$ORIGIN'],
  ]);
  if (code !== 0) throw new Error(`llama-bench could not be built:\n${output}`);
  stamp();
}

/** @param command llama-bench @returns tokens per second, one number per repeat */
export async function measurePeer(measurement: Measurement, command = program): Promise<number[]> {
  const { kind, depth, tokens, repeats, threads, model } = measurement;
  const { code, output } = await capture(command, [
    ...[
      '-m',
      model,
      '-fa',
      '1',
      '-t',
      String(threads),
      '-d',
      String(depth),
      '-r',
      String(repeats),
      '-o',
      'json',
    ],
    ...(kind === 'decode'
      ? ['-p', '0', '-n', String(tokens)]
      : ['-p', String(tokens), '-n', '0', '--no-warmup']),
  ]);
  if (code !== 0) throw new Error(`llama-bench failed with ${code}:\n${output}`);
  const [result] = Results.parse(arrayIn(output));
  return result?.samples_ts ?? [];
}

/** @returns how many numbers the weights are */
export async function parametersOf(model: string): Promise<number> {
  const { code, output } = await capture(program, [
    '-m',
    model,
    '-p',
    '1',
    '-n',
    '0',
    '-r',
    '1',
    '-o',
    'json',
  ]);
  if (code !== 0) throw new Error(`llama-bench failed with ${code}:\n${output}`);
  const [result] = Model.parse(arrayIn(output));
  return result?.model_n_params ?? 0;
}

function arrayIn(output: string): unknown {
  // What it says on stderr stands before or behind the JSON array.
  const [array = ''] = /^\[$[^]*^\]$/m.exec(output) ?? [];
  return JSON.parse(array);
}
