/** Measures the addon in a process of its own: `node --import tsx ours.ts MEASUREMENT` prints `{isa, samples}`. */
import { loadAddon, type NativeSession } from '../../backend/engine/native.ts';
import type { Measurement } from './measurement.ts';
import { tokenSource, type TokenSource } from './tokens.ts';

const CHUNK = 512;

async function main({ kind, depth, tokens, repeats, threads, model: file }: Measurement): Promise<void> {
  const addon = loadAddon();
  const model = await addon.loadModel(file, () => undefined);
  const session = addon.createSession(model, { threads, batch: CHUNK });
  const next = tokenSource(model.info.vocabulary);
  session.reset([]);
  await prefill(session, next, depth, 0);
  // As llama-bench does before it decodes.
  if (kind === 'decode') await session.forward(next(1), depth, true);

  const samples: number[] = [];
  for (let repeat = 0; repeat < repeats; repeat++) {
    session.truncate(depth);
    const start = performance.now();
    if (kind === 'prefill') await prefill(session, next, tokens, depth);
    else for (let step = 0; step < tokens; step++) await session.forward(next(1), depth + step, true);
    samples.push((tokens * 1000) / (performance.now() - start));
  }
  process.stdout.write(JSON.stringify({ isa: addon.isa, samples }));
  session.close();
  model.close();
}

/** The last chunk gives logits, as in llama-bench. */
async function prefill(
  session: NativeSession,
  next: TokenSource,
  count: number,
  position: number,
): Promise<void> {
  for (let done = 0; done < count; done += CHUNK) {
    const size = Math.min(CHUNK, count - done);
    await session.forward(next(size), position + done, done + size === count);
  }
}

void main(JSON.parse(process.argv[2] ?? '') as Measurement);
