/** What may go from the store, and in which order. Pure. */
import path from 'node:path';
import type { Inventory, StoredFile, StoredSegment, StoredState } from './inventory.ts';

/** What was in use so recently may be in use now, by whichever process: while they read, they say so more often. */
const inUseMs = 15 * 60_000;

/** When each segment was in use last: whenever a snapshot that names it was; its own time when none does. */
function lastUses({ segments, states }: Inventory): Map<StoredSegment, number> {
  const uses = new Map<string, number>();
  for (const state of states)
    for (const hash of hashesOf(state)) uses.set(hash, Math.max(state.usedMs, uses.get(hash) ?? 0));
  return new Map(segments.map((segment) => [segment, uses.get(segment.hash) ?? segment.usedMs]));
}

/**
 * Segments to remove so that so many bytes become free, the least recently used first; undefined when what is not in
 * use is too little.
 */
export function evictable(
  inventory: Inventory,
  bytes: number,
  { keep = new Set(), nowMs }: { keep?: ReadonlySet<string>; nowMs: number },
): StoredFile[] | undefined {
  const inUse = hashesInUse(inventory.states, nowMs);
  const idle = [...lastUses(inventory)]
    .filter(([{ hash }]) => !keep.has(hash) && !inUse.has(hash))
    .sort(([, a], [, b]) => a - b);
  const chosen: StoredFile[] = [];
  let free = 0;
  for (const [segment] of idle) {
    if (free >= bytes) break;
    chosen.push(segment);
    free += segment.bytes;
  }
  return free >= bytes ? chosen : undefined;
}

/** Those of the latest states: what a process looks at is the latest state of some selection of files. */
function hashesInUse(states: readonly StoredState[], nowMs: number): Set<string> {
  const latest = new Map<string, StoredState>();
  for (const state of states.filter(({ usedMs }) => usedMs >= nowMs - inUseMs)) {
    const selection = path.dirname(state.file);
    if (state.usedMs > (latest.get(selection)?.usedMs ?? 0)) latest.set(selection, state);
  }
  return new Set([...latest.values()].flatMap(hashesOf));
}

function hashesOf({ manifest }: StoredState): string[] {
  return [manifest.frame.hash, ...manifest.segments.map(({ hash }) => hash)];
}

/** Bytes that are there for what was in use lately, and bytes that `evictable` never frees. */
export function occupied(inventory: Inventory, nowMs: number): { inUse: number; fixed: number } {
  const hashes = hashesInUse(inventory.states, nowMs);
  const sum = (files: readonly StoredFile[]) => files.reduce((total, { bytes }) => total + bytes, 0);
  return {
    inUse: sum(inventory.segments.filter(({ hash }) => hashes.has(hash))),
    fixed: inventory.bytes - sum(inventory.segments),
  };
}

/**
 * What nobody misses: segments that no snapshot names, snapshots and notes of folders that are gone, files of another
 * version, and what killed processes were writing.
 * @param isGone whether there is no such folder any more
 */
export function unneeded(
  inventory: Inventory,
  { isGone, nowMs }: { isGone: (root: string) => boolean; nowMs: number },
): StoredFile[] {
  const gone = inventory.states.filter(({ manifest }) => isGone(manifest.root));
  const states = inventory.states.filter((state) => !gone.includes(state));
  const named = new Set(states.flatMap(hashesOf));
  const selections = new Set(states.map(({ file }) => path.basename(path.dirname(file))));
  const orphans = [
    ...inventory.segments.filter(({ hash }) => !named.has(hash)),
    ...inventory.notes.filter(({ selection }) => !selections.has(selection)),
  ];
  // One that is young may belong to a snapshot that is about to be written, or could not be.
  const old = orphans.filter(({ usedMs }) => usedMs < nowMs - inUseMs);
  return [...inventory.abandoned, ...inventory.outdated, ...gone, ...old];
}
