/** Computes the K/V of what is not in the store yet. A segment is stored as a whole or not at all. */
import type { Snapshot, SnapshotSegment } from '../context/snapshot.ts';
import { frameView } from '../context/views.ts';
import { throwIfCancelled } from '../errors.ts';
import type { PhaseProgress, PrefillReport } from '../protocol.ts';
import type { Runner } from './engine.ts';
import type { NativeSegment } from './native.ts';

export function nothingPrefilled(): PrefillReport {
  return { prefillTokens: 0, prefillMs: 0, indexMs: 0, diskMs: 0 };
}

/**
 * Prefills the frame and those of the segments that are missing, in order; afterwards all are on the shelf. Cancelled
 * or killed, it goes on behind the last finished segment the next time.
 * @param timing what is finished is added to it
 * @throws UserError `cancelled`, `noSpace`
 * @throws TreeChanged
 */
export async function prefill(
  runner: Runner,
  { frame, segments, contentOf, touch }: Pick<Snapshot, 'frame' | 'segments' | 'contentOf' | 'touch'>,
  { signal, report }: { signal: AbortSignal; report: (progress: PhaseProgress) => void },
  timing = nothingPrefilled(),
): Promise<PrefillReport> {
  const missing: SnapshotSegment[] = [];
  for (const segment of segments)
    if (!(await runner.shelf.get(segment.hash, segment.tokens))) missing.push(segment);
  let stored = await runner.shelf.get(frame.hash, frame.content.length);
  const total = missing.reduce((sum, { tokens }) => sum + tokens, stored ? 0 : frame.content.length);
  const reportChunk = chunkReporter(total, report);

  const run = async (hash: string, content: Int32Array, detail: string) => {
    const started = performance.now();
    const segment = await compute(runner, { hash, content }, stored, signal, reportChunk(detail));
    const { index, disk } = runner.session.saveSeconds();
    timing.prefillTokens += content.length;
    timing.prefillMs += performance.now() - started;
    timing.indexMs += index * 1000;
    timing.diskMs += disk * 1000;
    return segment;
  };
  stored ??= await run(frame.hash, frame.content, 'the opening');
  for (const segment of missing) {
    throwIfCancelled(signal);
    await run(segment.hash, await contentOf(segment), segment.lines.sources[0]?.path ?? 'the list of files');
    await touch();
  }
  return timing;
}

/** Reports the tokens of each chunk as a part of all. */
function chunkReporter(total: number, report: (progress: PhaseProgress) => void) {
  const started = performance.now();
  let done = 0;
  return (detail: string) => (tokens: number) => {
    done += tokens;
    const rate = (done * 1000) / (performance.now() - started);
    const etaSeconds = (total - done) / rate;
    report({ kind: 'phase', phase: 'prefill', detail, done, total, rate, etaSeconds });
  };
}

/** Every segment stands right behind the frame, whatever else there is: its K/V depends on nothing but these two. */
async function compute(
  runner: Runner,
  { hash, content }: { hash: string; content: Int32Array },
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
