/** What the backend holds in memory, and how often what it needed was there. */
import type { MemoryState } from '../protocol.ts';
import type { NativeAddon } from './native.ts';

/** As it is now; the counts are since the start. */
export function memoryOf(addon: NativeAddon): MemoryState {
  const { capacity, exact, index, background, cacheUsed, hits, misses, late, damaged, bytesRead, device } =
    addon.memory();
  return {
    ramBytes: process.memoryUsage.rss(),
    keptBytes: exact + index + background + cacheUsed,
    capBytes: capacity,
    gpuBytes: device,
    hits,
    misses,
    estimated: late + damaged,
    readBytes: bytesRead,
  };
}

/** The same with what has been counted since then. */
export function since(before: MemoryState, now: MemoryState): MemoryState {
  return {
    ...now,
    hits: now.hits - before.hits,
    misses: now.misses - before.misses,
    estimated: now.estimated - before.estimated,
    readBytes: now.readBytes - before.readBytes,
  };
}
