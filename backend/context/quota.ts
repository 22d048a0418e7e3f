/** Keeps the store within its share of the disk. */
import { mkdir, rm, statfs } from 'node:fs/promises';
import prettyBytes from 'pretty-bytes';
import { UserError } from '../errors.ts';
import { log } from '../log.ts';
import { takeInventory } from './inventory.ts';
import { evictable } from './prune.ts';

/** Without a limit of the user's, the store may take this share of what it has and what is free. */
export const usualShare = 0.5;
/** Left free on the disk in any case, for everything else. */
const reserveBytes = 64 << 20;

export interface Room {
  /** Bytes that are about to be written. */
  bytes: number;
  /** The most that the store may take; undefined for the usual share. */
  diskBytes: number | undefined;
  /** Hashes that must stay. */
  keep: ReadonlySet<string>;
}

/**
 * Makes sure that there is room in the store, and clears away what was not in use for longest where there is not.
 * @throws UserError `noSpace` when that is too little; everything then stays
 */
export async function makeRoom(directory: string, { bytes, diskBytes, keep }: Room): Promise<void> {
  await mkdir(directory, { recursive: true });
  const inventory = await takeInventory(directory);
  for (const { file } of inventory.abandoned) await rm(file, { force: true });
  const free = await freeBytes(directory);
  const limit = diskBytes ?? shareOf(inventory.bytes, free);
  const over = Math.max(inventory.bytes + bytes - limit, bytes + reserveBytes - free);
  if (over <= 0) return;
  const cleared = evictable(inventory, over, { keep, nowMs: Date.now() });
  if (!cleared) throw noSpace(directory, { bytes, limit, free, taken: inventory.bytes });
  log(`store: ${cleared.length} segments that were not in use for longest are cleared away`);
  for (const { file } of cleared) await rm(file, { force: true });
}

/** How much the store may take without a limit of the user's. */
export async function usualLimit(directory: string, storeBytes: number): Promise<number> {
  await mkdir(directory, { recursive: true });
  return shareOf(storeBytes, await freeBytes(directory));
}

function shareOf(storeBytes: number, free: number): number {
  return Math.floor(usualShare * (storeBytes + free));
}

async function freeBytes(directory: string): Promise<number> {
  const { bavail, bsize } = await statfs(directory);
  return bavail * bsize;
}

function noSpace(
  directory: string,
  { bytes, limit, free, taken }: { bytes: number; limit: number; free: number; taken: number },
): UserError {
  const reading = `Reading this takes ${prettyBytes(bytes)} on the disk of ${directory}`;
  const why =
    free < bytes + reserveBytes
      ? `where ${prettyBytes(free)} are free`
      : `where the store may take ${prettyBytes(limit)} and has ${prettyBytes(taken)} in use`;
  return new UserError(
    'noSpace',
    `${reading}, ${why}: free some space, allow more with --disk, leave files out with --exclude, or move the store with REPOWAVE_STORE.`,
  );
}
