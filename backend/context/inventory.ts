/** What is in the store: of all repositories and models. */
import { createReadStream } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { temporaryMark } from './folder.ts';
import { parseManifest, type Manifest } from './saved.ts';

/** A file that has been temporary for longer belongs to a process that was killed. */
const abandonedMs = 10 * 60_000;

export interface StoredFile {
  file: string;
  bytes: number;
  /** When it was in use last, as far as its own time tells. */
  usedMs: number;
}

export interface StoredSegment extends StoredFile {
  hash: string;
}

export interface StoredState extends StoredFile {
  manifest: Manifest;
}

export interface Inventory {
  directory: string;
  /** Of all files. */
  bytes: number;
  segments: StoredSegment[];
  states: StoredState[];
  /** Saved snapshots of another version. */
  outdated: StoredFile[];
  /** What killed processes were writing. */
  abandoned: StoredFile[];
}

/** Looks at every file of the store; one that goes away meanwhile is left out. */
export async function takeInventory(directory: string): Promise<Inventory> {
  const inventory: Inventory = {
    ...{ directory, bytes: 0 },
    ...{ segments: [], states: [], outdated: [], abandoned: [] },
  };
  const names = await readdir(directory, { recursive: true }).catch(() => []);
  for (const name of names) await add(inventory, path.join(directory, name));
  return inventory;
}

async function add(inventory: Inventory, file: string): Promise<void> {
  const found = await stat(file).catch(() => undefined);
  if (!found?.isFile()) return;
  const stored: StoredFile = { file, bytes: found.size, usedMs: found.mtimeMs };
  inventory.bytes += found.size;
  const name = path.basename(file);
  if (name.includes(temporaryMark)) {
    if (found.mtimeMs < Date.now() - abandonedMs) inventory.abandoned.push(stored);
  } else if (name.endsWith('.seg')) {
    inventory.segments.push({ ...stored, hash: name.slice(0, -'.seg'.length) });
  } else if (path.basename(path.dirname(path.dirname(file))) === 'snapshots') {
    const manifest = await readManifest(file);
    if (manifest) inventory.states.push({ ...stored, manifest });
    else inventory.outdated.push(stored);
  }
}

/** From the beginning of the file alone, behind its seal: the rest is long. */
async function readManifest(file: string): Promise<Manifest | undefined> {
  const stream = createReadStream(file, 'utf8');
  const lines = createInterface(stream);
  try {
    let number = 0;
    for await (const line of lines) if (++number === 2) return parseManifest(line);
    return undefined;
  } catch {
    return undefined;
  } finally {
    lines.close();
    stream.destroy();
  }
}
