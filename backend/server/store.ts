import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import prettyBytes from 'pretty-bytes';
import { z } from 'zod';
import { takeInventory, type Inventory, type StoredFile } from '../context/inventory.ts';
import { evictable, occupied, unneeded } from '../context/prune.ts';
import { usualLimit } from '../context/quota.ts';
import { repositoriesIn } from '../context/repositories.ts';
import { openAddon } from '../engine/engine.ts';
import { isCorruptSegment } from '../engine/native-errors.ts';
import { throwIfCancelled, UserError } from '../errors.ts';
import { storeDirectory } from '../paths.ts';
import { PruneRequest, StoreRequest, VerifyRequest } from '../protocol.ts';
import type { PruneParams, PruneReport, StoreReport, VerifyParams, VerifyReport } from '../protocol.ts';
import type { Call, Registry } from './connection.ts';
import { progressFields } from './params.ts';

const verifySchema = z.object({ deep: z.boolean().optional(), ...progressFields });
const pruneSchema = z.object({
  diskBytes: z.number().nonnegative().optional(),
  dryRun: z.boolean().optional(),
});

export function registerStore(registry: Registry): void {
  registry.on0(StoreRequest, reportStore);
  registry.on(VerifyRequest, verifySchema, verify);
  registry.on(PruneRequest, pruneSchema, prune);
}

async function reportStore(): Promise<StoreReport> {
  const inventory = await takeInventory(storeDirectory());
  const { directory, bytes } = inventory;
  return {
    directory,
    bytes,
    limitBytes: await usualLimit(directory, bytes),
    repositories: repositoriesIn(inventory),
    unneededBytes: bytesOf(unneededIn(inventory)),
  };
}

/** Opens every segment. Another process may clear some away meanwhile. */
async function verify({ deep }: VerifyParams, { signal, report }: Call): Promise<VerifyReport> {
  const { segments } = await takeInventory(storeDirectory());
  const addon = openAddon();
  const damaged: VerifyReport['damaged'] = [];
  for (const [i, { file }] of segments.entries()) {
    throwIfCancelled(signal);
    report({ kind: 'phase', phase: 'verify', done: i, total: segments.length });
    try {
      addon.openSegment(file).close();
      if (deep) await addon.verifySegment(file);
    } catch (error) {
      if (!existsSync(file)) continue;
      if (!isCorruptSegment(error)) throw error;
      damaged.push({ file, reason: (error as Error).message });
    }
  }
  return { segments: segments.length, bytes: bytesOf(segments), damaged };
}

/** @throws UserError `noSpace` when too much must stay to get below the limit; everything then stays */
async function prune({ diskBytes, dryRun }: PruneParams): Promise<PruneReport> {
  const inventory = await takeInventory(storeDirectory());
  const files = unneededIn(inventory);
  if (diskBytes !== undefined) files.push(...evictedFor(diskBytes, inventory, files));
  if (!dryRun) for (const { file } of files) await rm(file, { force: true });
  const bytes = bytesOf(files);
  return { files: files.length, bytes, leftBytes: inventory.bytes - bytes };
}

/** What must go beside `gone`, so that the store takes no more than `limit`. */
function evictedFor(limit: number, inventory: Inventory, gone: readonly StoredFile[]): StoredFile[] {
  const going = new Set(gone.map(({ file }) => file));
  const left = {
    ...inventory,
    bytes: inventory.bytes - bytesOf(gone),
    segments: inventory.segments.filter(({ file }) => !going.has(file)),
  };
  const nowMs = Date.now();
  const evicted = evictable(left, left.bytes - limit, { nowMs });
  if (evicted) return evicted;
  const { inUse, fixed } = occupied(left, nowMs);
  const [why, advice] =
    limit < fixed
      ? [`${prettyBytes(fixed)} of it tell which files your repositories have`, '']
      : [`${prettyBytes(inUse)} of it were in use in the last quarter of an hour`, ', or later'];
  throw new UserError(
    'noSpace',
    `The store cannot get smaller than ${prettyBytes(inUse + fixed)}, as ${why}: try a larger size${advice}.`,
  );
}

function unneededIn(inventory: Inventory): StoredFile[] {
  return unneeded(inventory, { isGone: (root) => !existsSync(root), nowMs: Date.now() });
}

function bytesOf(files: readonly StoredFile[]): number {
  return files.reduce((sum, { bytes }) => sum + bytes, 0);
}
