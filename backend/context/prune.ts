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

/**
 * What nobody misses: segments that no snapshot names, snapshots of another version, and of folders that are gone,
 * and what killed processes were writing.
 * @param isGone whether there is no such folder any more
 */
export function unneeded(
  inventory: Inventory,
  { isGone, nowMs }: { isGone: (root: string) => boolean; nowMs: number },
): StoredFile[] {
  const gone = inventory.states.filter(({ manifest }) => isGone(manifest.root));
  const states = inventory.states.filter((state) => !gone.includes(state));
  const named = new Set(states.flatMap(hashesOf));
  // One that is young may belong to a snapshot that could not be written.
  const orphans = inventory.segments.filter(
    ({ hash, usedMs }) => !named.has(hash) && usedMs < nowMs - inUseMs,
  );
  return [...inventory.abandoned, ...inventory.outdated, ...gone, ...orphans];
}
