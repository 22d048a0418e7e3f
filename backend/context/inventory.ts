/** What is in the store: of all repositories and models. */
import { createReadStream } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { UserError } from '../errors.ts';
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

/** What is known of a selection of files beside its states. */
export interface StoredNote extends StoredFile {
  /** Also the name of the folder of its states. */
  selection: string;
}

export interface Inventory {
  directory: string;
  /** Of all files. */
  bytes: number;
  segments: StoredSegment[];
  states: StoredState[];
  notes: StoredNote[];
  /** Of another version of the store, or of none. */
  outdated: StoredFile[];
  /** What killed processes were writing. */
  abandoned: StoredFile[];
}

/** What store.ts lays out. All else in the folder is somebody else's, as REPOWAVE_STORE may name any. */
const ownFolder = /^(?:scans|[0-9a-f]{16})$/;
const ownFile = /^(?:scans\/[0-9a-f]{64}\.json|[0-9a-f]{16}\/.*)$/;
const segmentFile = /^[^/]+\/segments\/[^/]+\/([^/]+)\.seg$/;
const stateFile = /^[^/]+\/snapshots\/([^/]+)\/[^/]+\.json$/;
const noteFile = /^(?:scans|[^/]+\/asked)\/([0-9a-f]{64})(?:\.json)?$/;

/**
 * Looks at every file of the store; one that goes away meanwhile is left out.
 * @throws UserError `environment` when a file cannot be looked at: it may well be needed
 */
export async function takeInventory(directory: string): Promise<Inventory> {
  const inventory: Inventory = {
    ...{ directory, bytes: 0 },
    ...{ segments: [], states: [], notes: [], outdated: [], abandoned: [] },
  };
  try {
    for (const name of await ownFiles(directory)) await unlessGone(add(inventory, name));
  } catch (error) {
    throw new UserError(
      'environment',
      `The store ${directory} cannot be read (${(error as Error).message}): try again, change its permissions, or set REPOWAVE_STORE to a folder that can.`,
      { cause: error },
    );
  }
  return inventory;
}

/** Relative to the directory, with slashes. */
async function ownFiles(directory: string): Promise<string[]> {
  const options = { withFileTypes: true } as const;
  const folders = ((await unlessGone(readdir(directory, options))) ?? [])
    .filter((entry) => !entry.isFile() && ownFolder.test(entry.name))
    .map(({ name }) => ({ folder: path.join(directory, name), recursive: name !== 'scans' }));
  const names: string[] = [];
  for (const { folder, recursive } of folders) {
    const inside = (await unlessGone(readdir(folder, { ...options, recursive }))) ?? [];
    const files = inside.filter((entry) => entry.isFile());
    names.push(...files.map((entry) => path.relative(directory, path.join(entry.parentPath, entry.name))));
  }
  return names
    .map((name) => name.replaceAll(path.sep, '/'))
    .filter((name) => ownFile.test(name.split(temporaryMark)[0]!));
}

async function add(inventory: Inventory, name: string): Promise<void> {
  const file = path.join(inventory.directory, name);
  const found = await stat(file);
  const stored: StoredFile = { file, bytes: found.size, usedMs: found.mtimeMs };
  const hash = segmentFile.exec(name)?.[1];
  const selection = noteFile.exec(name)?.[1];
  const manifest = stateFile.test(name) ? await readManifest(file) : undefined;
  inventory.bytes += found.size;
  if (name.includes(temporaryMark)) {
    if (found.mtimeMs < Date.now() - abandonedMs) inventory.abandoned.push(stored);
  } else if (hash !== undefined) inventory.segments.push({ ...stored, hash });
  else if (selection !== undefined) inventory.notes.push({ ...stored, selection });
  else if (manifest) inventory.states.push({ ...stored, manifest });
  else inventory.outdated.push(stored);
}

/** From the beginning of the file alone, behind its seal: the rest is long. Undefined when it is not understood. */
async function readManifest(file: string): Promise<Manifest | undefined> {
  let text = '';
  for await (const chunk of createReadStream(file, 'utf8')) {
    text += chunk as string;
    const [, line, rest] = text.split('\n', 3);
    if (line !== undefined && rest !== undefined) return parseManifest(line);
  }
  return undefined;
}

/** Undefined when there is no such file. */
async function unlessGone<T>(looking: Promise<T>): Promise<T | undefined> {
  return looking.catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
}
