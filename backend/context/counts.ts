/** Tokens by file. Pure. */
import type { SourceFile } from '../repo/scan.ts';
import type { SnapshotSegment } from './snapshot.ts';

/** Bytes of ordinary code in a token, of most models: for files that none has counted. */
const bytesPerToken = 3.6;

type Sized = Pick<SourceFile, 'path' | 'bytes'>;

/**
 * Tokens of each file with its header: those that the segments have, and for files that are in none an estimate from
 * their size and from what the others take.
 */
export function tokenCounts(
  files: readonly Sized[],
  segments: readonly Pick<SnapshotSegment, 'lines'>[],
): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { path, tokens } of segments.flatMap(({ lines }) => lines.sources))
    counts.set(path, (counts.get(path) ?? 0) + tokens);
  const counted = files.filter(({ path }) => counts.has(path));
  const tokens = counted.reduce((sum, { path }) => sum + counts.get(path)!, 0);
  const bytes = counted.reduce((sum, file) => sum + file.bytes, 0);
  const perByte = bytes > 0 ? tokens / bytes : 1 / bytesPerToken;
  return new Map(files.map((file) => [file.path, counts.get(file.path) ?? Math.ceil(file.bytes * perByte)]));
}
