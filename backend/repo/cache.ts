/** What the last scan found in each file, so that an unchanged file is not read again: like git's index. */
import type { Stats } from 'node:fs';

/** Raised whenever the same bytes may be judged differently. */
const VERSION = 1;

/** A change within the clock's grain after a scan looked at a file would go unseen; git calls such entries racy. */
const UNRELIABLE_MS = 2_000;

interface FileStamp {
  size: number;
  mtimeMs: number;
  ctimeMs: number;
}

/** The stamp of a file as it was read, and either the hash of its text or why it is left out. */
export type CachedFile = FileStamp & ({ hash: string } | { reason: string });

/** Keys are paths relative to the root. */
export type ScanCache = Map<string, CachedFile>;

export function stampOf({ size, mtimeMs, ctimeMs }: Stats): FileStamp {
  return { size, mtimeMs, ctimeMs };
}

export function isUnchanged(cached: FileStamp, stat: FileStamp): boolean {
  return cached.size === stat.size && cached.mtimeMs === stat.mtimeMs && cached.ctimeMs === stat.ctimeMs;
}

/** Whether a file was left alone for long enough before `scanStartMs` that its stamp tells its content. */
export function isReliable(stamp: FileStamp, scanStartMs: number): boolean {
  return Math.max(stamp.mtimeMs, stamp.ctimeMs) < scanStartMs - UNRELIABLE_MS;
}

/** The cache as JSON text. */
export function serializeCache(cache: ScanCache): string {
  const files = [...cache].map(([path, file]) => [
    path,
    file.size,
    file.mtimeMs,
    file.ctimeMs,
    ...('hash' in file ? [file.hash] : [null, file.reason]),
  ]);
  return JSON.stringify({ version: VERSION, files });
}

/** The inverse of {@link serializeCache}; an empty cache for text that is damaged or of another version. */
export function parseCache(text: string): ScanCache {
  try {
    const { version, files } = JSON.parse(text) as {
      version: number;
      files: [string, number, number, number, string | null, string?][];
    };
    if (version !== VERSION) return new Map();
    return new Map(
      files.map(([path, size, mtimeMs, ctimeMs, hash, reason]) => {
        const stamp = { size, mtimeMs, ctimeMs };
        return [path, hash === null ? { ...stamp, reason: reason! } : { ...stamp, hash }];
      }),
    );
  } catch {
    return new Map();
  }
}
