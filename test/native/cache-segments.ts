/** The block cache by itself, and segment files of random clusters for it. */
import fs from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { after } from 'node:test';
import { createRandom } from '../reference/random.ts';

export interface Counters {
  hits: number;
  misses: number;
  prefetched: number;
  foreseen: number;
  dropped: number;
  bytes: number;
  late: number;
  noRoom: number;
  failed: number;
}

export interface Cache {
  addSegment(file: string, starts: Uint32Array[], checksums: Uint32Array[], offsets: Uint32Array): number;
  removeSegment(segment: number): void;
  damaged(segment: number): number;
  setCapacity(bytes: number): void;
  capacity(): number;
  used(): number;
  counters(): Counters;
  beginStep(): void;
  endStep(): void;
  acquire(
    head: number,
    refs: Uint32Array,
    wait: boolean,
  ): { rows: Uint32Array; missing: Uint32Array; data: Uint8Array };
  prefetch(head: number, refs: Uint32Array): void;
  foresee(head: number, refs: Uint32Array): { rows: Uint32Array; missing: Uint32Array; data: Uint8Array };
  pin(most: number): void;
  pinned(): number;
}

export const addon = createRequire(import.meta.url)(
  path.resolve(import.meta.dirname, '../../build/native/cache_test.node'),
) as {
  Cache: new (slotBytes: number, capacity: number) => Cache;
  crc32c(bytes: Uint8Array, before: number): number;
  crc32cPortable(bytes: Uint8Array, before: number): number;
};

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'block-cache-'));
after(() => fs.rmSync(folder, { recursive: true }));

export const PAGE_SLOTS = 8;
export const SLOT = 64;
/** Of a page and its places in the tables. */
export const cost = (slot: number): number => PAGE_SLOTS * slot + 40;

export interface Segment {
  file: string;
  /** Per head: the sizes of its clusters, in tokens. */
  sizes: number[][];
  starts: Uint32Array[];
  checksums: Uint32Array[];
  offsets: Uint32Array;
  bytes: Buffer;
}

/** A file of random slots; a head's begin 64 bytes behind the end of the one before. */
export function makeSegment(name: string, seed: number, sizes: number[][], slot = SLOT): Segment {
  const { integer } = createRandom(seed);
  const starts = sizes.map((head) => {
    const list = [0];
    for (const size of head) list.push(list.at(-1)! + size);
    return Uint32Array.from(list);
  });
  const offsets = new Uint32Array(sizes.length);
  let end = 0;
  starts.forEach((head, i) => {
    offsets[i] = end + 64;
    end = offsets[i] + head.at(-1)! * slot;
  });
  const words = Uint32Array.from({ length: Math.ceil(end / 4) }, () => integer(0, 2 ** 32 - 1));
  const bytes = Buffer.from(words.buffer, 0, end);
  const file = path.join(folder, name);
  fs.writeFileSync(file, bytes);
  const segment = { file, sizes, starts, checksums: [] as Uint32Array[], offsets, bytes };
  segment.checksums = sizes.map((head, h) =>
    Uint32Array.from(head, (_, c) => addon.crc32c(slotsOf(segment, h, c, slot), 0)),
  );
  return segment;
}

export function slotsOf(segment: Segment, head: number, cluster: number, slot = SLOT): Buffer {
  const at = segment.offsets[head]! + segment.starts[head]![cluster]! * slot;
  return segment.bytes.subarray(at, at + segment.sizes[head]![cluster]! * slot);
}

export function add(cache: Cache, segment: Segment): number {
  return cache.addSegment(segment.file, segment.starts, segment.checksums, segment.offsets);
}

export const pagesOf = (tokens: number): number => Math.ceil(tokens / PAGE_SLOTS);
export const sum = (list: readonly number[]): number => list.reduce((a, b) => a + b, 0);
export const refsOf = (segment: number, clusters: readonly number[]): Uint32Array =>
  Uint32Array.from(clusters.flatMap((cluster) => [segment, cluster]));
export const range = (n: number, from = 0): number[] => Array.from({ length: n }, (_, i) => from + i);

/** Until the background has done what it was asked for. */
export async function until(done: () => boolean): Promise<void> {
  while (!done()) await new Promise((resolve) => setImmediate(resolve));
}
