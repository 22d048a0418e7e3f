/** Computes the K/V of what is not in the store yet. A segment is stored as a whole or not at all. */
import type { Snapshot } from '../context/snapshot.ts';
import { frameView } from '../context/views.ts';
import type { PhaseProgress, PrefillReport } from '../protocol.ts';
import type { Runner } from './engine.ts';
import type { NativeSegment } from './native.ts';

interface Part {
  hash: string;
  content: Int32Array;
  detail: string;
}

/**
 * Prefills the frame and every segment that is missing, in order; afterwards all are on the shelf. Cancelled or
 * killed, it goes on behind the last finished segment the next time.
 * @throws UserError `cancelled`, `noSpace`
 */
export async function prefill(
  runner: Runner,
  { frame, segments }: Snapshot,
  { signal, report }: { signal: AbortSignal; report: (progress: PhaseProgress) => void },
): Promise<PrefillReport> {
  const started = performance.now();
  const missing: Part[] = [];
  for (const { hash, tokens, lines, content } of segments) {
    if (await runner.shelf.get(hash, tokens)) continue;
    if (!content) throw new Error(`Segment ${hash} has left the store while it was in use.`);
    missing.push({ hash, content, detail: lines.sources[0]?.path ?? 'the list of files' });
  }
  let stored = await runner.shelf.get(frame.hash, frame.content.length);
  const total = missing.reduce((sum, { content }) => sum + content.length, stored ? 0 : frame.content.length);
  if (total === 0) return { prefillTokens: 0, prefillMs: 0, indexMs: 0, diskMs: 0 };

  await runner.store.sweep();
  await runner.store.ensureSpace(total * runner.model.info.kvBytesPerToken);
  let done = 0;
  const saving = { index: 0, disk: 0 };
  const run = async (part: Part, behind: NativeSegment | undefined) => {
    const segment = await compute(runner, part, behind, signal, (tokens) => {
      done += tokens;
      const rate = (done * 1000) / (performance.now() - started);
      report({
        kind: 'phase',
        phase: 'prefill',
        detail: part.detail,
        done,
        total,
        rate,
        etaSeconds: (total - done) / rate,
      });
    });
    const { index, disk } = runner.session.saveSeconds();
    saving.index += index;
    saving.disk += disk;
    return segment;
  };
  stored ??= await run({ ...frame, detail: 'the opening' }, undefined);
  for (const part of missing) await run(part, stored);
  return {
    prefillTokens: total,
    prefillMs: performance.now() - started,
    indexMs: saving.index * 1000,
    diskMs: saving.disk * 1000,
  };
}

/** Every segment stands right behind the frame, whatever else there is: its K/V depends on nothing but these two. */
async function compute(
  runner: Runner,
  { hash, content }: Part,
  behind: NativeSegment | undefined,
  signal: AbortSignal,
  onChunk: (tokens: number) => void,
): Promise<NativeSegment> {
  runner.session.reset(behind ? [frameView(behind)] : []);
  await runner.forward(content, behind?.tokens ?? 0, { sample: false, signal, onChunk });
  await runner.session.save(await runner.store.segmentPath(hash), '{}');
  const segment = await runner.shelf.get(hash, content.length);
  if (!segment) throw new Error(`Segment ${hash} cannot be read back from the store.`);
  return segment;
}
