/** Stored segments that no model has computed (test/native/synthetic_segments.cpp). */
import { readGguf } from '../../backend/models/gguf.ts';
import { capture } from '../../scripts/children.mjs';
import { at } from '../../scripts/paths.mjs';
import { segmentsOf, type Plan } from './plan.ts';

export const syntheticSegments =
  'synthetic: random clustered K/V, indexed; of coarse ones random summaries of their own, K/V a hole that is not read';

/** Writes what the plans look at. */
export async function writeSegments(folder: string, model: string, plans: readonly Plan[]): Promise<void> {
  const files = new Set(
    plans.flatMap((plan) =>
      segmentsOf(plan).map(
        ({ detail, tokens, name }) => `${detail === 'coarse' ? 'outline' : 'whole'}:${tokens}:${name}`,
      ),
    ),
  );
  await makeSegments(folder, model, [...files]);
}

/** @param requests as the program describes them, `KIND:TOKENS:NAME` with names in the folder */
export async function makeSegments(folder: string, model: string, requests: string[]): Promise<void> {
  const { layers, kvHeads, keyLength } = readGguf(model);
  const { code, output } = await capture(at('build', 'native', 'synthetic_segments'), [
    folder,
    ...[layers, kvHeads[0], keyLength].map(String),
    ...requests,
  ]);
  if (code !== 0) throw new Error(`the synthetic segments could not be written:\n${output}`);
}
