/** llama.cpp behind a context that would take hours to prefill (test/native/llama_depth.cpp). */
import { z } from 'zod';
import { capture } from '../../scripts/children.mjs';
import { at } from '../../scripts/paths.mjs';
import type { Measurement } from './measurement.ts';

const Result = z.object({ samples: z.array(z.number().positive()) });

export const filledCache =
  'llama.cpp 0.5.0, flash attention, F16 K/V cache filled from a synthetic saved state of as many cells';

/** @returns tokens per second, one number per repeat */
export async function measureFilled(measurement: Omit<Measurement, 'kind'>): Promise<number[]> {
  const { depth, tokens, repeats, threads, model } = measurement;
  const { code, output } = await capture(
    at('build', 'native', 'llama_depth'),
    [model, ...[depth, tokens, repeats, threads].map(String)],
    { env: { ...process.env, LLAMA_LIBRARIES: at('dist', 'native') } },
  );
  if (code !== 0) throw new Error(`llama_depth failed with ${code}:\n${output}`);
  return Result.parse(JSON.parse(output.slice(output.lastIndexOf('{"samples"')))).samples;
}
