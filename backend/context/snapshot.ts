/** One state of a repository's tree, cut into segments. */
import { createHash } from 'node:crypto';
import { realpath } from 'node:fs/promises';
import { z } from 'zod';
import type { NativeModel, Tokenized } from '../engine/native.ts';
import { throwIfCancelled } from '../errors.ts';
import { parseCache, serializeCache } from '../repo/cache.ts';
import { chooseWarmup, type Warmup } from '../repo/frame.ts';
import { importGraph, type ImportGraph } from '../repo/imports.ts';
import { lineMapOf, type LineMap } from '../repo/lines.ts';
import { pack } from '../repo/pack.ts';
import { piecesOf, type Segment } from '../repo/segment.ts';
import { scan, type Scan, type SourceFile } from '../repo/scan.ts';
import { readText } from '../repo/text.ts';
import { limitsFor, templateOf, tokenizeParts, warmupFor } from './assemble.ts';
import { Folder } from './folder.ts';
import { LexicalIndex, type Document } from './lexical.ts';
import { sha256, type Store } from './store.ts';

/** Raised when the same files would be packed, mapped to lines or indexed differently: saved snapshots are then made anew. */
const snapshotVersion = 3;

/** Which files of which folder. */
export interface Selection {
  root: string;
  include: string[];
  exclude: string[];
}

export interface SnapshotSegment {
  hash: string;
  tokens: number;
  lines: LineMap;
  /** Per source of `lines`, the indexes of its lines that hold no word. */
  blank: number[][];
  /** The tokens themselves, unless all segments were in the store when the snapshot was last taken. */
  content?: Int32Array;
}

/** What stands before every segment, with the hash under which its K/V is stored. */
export interface Frame {
  hash: string;
  content: Int32Array;
  text: string;
}

export interface Snapshot {
  frame: Frame;
  segments: SnapshotSegment[];
  lexical: LexicalIndex;
  /** Which files import which. */
  imports: ImportGraph;
}

/** Thrown when a file is no longer what the scan saw: the tree must be scanned again. */
export class TreeChanged extends Error {}

/**
 * Scans the tree; files that have not changed since the last time are not read again.
 * @throws UserError of `scan`
 */
export async function scanTree(
  storeRoot: string,
  selection: Selection,
  signal: AbortSignal,
  onProgress: (files: number) => void,
): Promise<Scan> {
  const folder = new Folder(storeRoot);
  const name = `scans/${await keyOf(selection)}.json`;
  const before = (await folder.read(name)) ?? '';
  const cache = parseCache(before);
  const found = await scan({ ...selection, signal, onProgress, cache });
  const after = serializeCache(cache);
  if (after !== before) await folder.writeCache(name, after);
  return found;
}

export interface SnapshotOptions {
  /** Whether the K/V of a segment is in the store. */
  isStored: (segment: SnapshotSegment) => Promise<boolean>;
  signal: AbortSignal;
  /** Called with the number of files read so far. */
  onRead: (files: number) => void;
}

const savedSnapshot = z.object({
  key: z.string(),
  segments: z.array(
    z.object({
      hash: z.string().regex(/^[0-9a-f]{64}$/),
      tokens: z.number(),
      lines: z.custom<LineMap>(),
      blank: z.array(z.array(z.number())),
    }),
  ),
  lexical: z.string(),
  imports: z.record(z.string(), z.array(z.string())),
});

/** The warm-up and the files that it was taken from. */
const savedWarmup = z.object({ text: z.string(), paths: z.array(z.string()) });

/**
 * The snapshot of scanned files for one model. Nothing is read or tokenized when the tree is as it was the last time
 * and `isStored` says that every segment is there.
 * @throws TreeChanged
 */
export async function takeSnapshot(
  store: Store,
  model: NativeModel,
  selection: Selection,
  files: SourceFile[],
  { isStored, signal, onRead }: SnapshotOptions,
): Promise<Snapshot> {
  const read = readerOf(selection.root, files, signal, onRead);
  const tokenize = (text: string): Promise<Tokenized> => model.tokenize(text, false);
  const warmupTokens = warmupFor(model.info.trainedContext);
  const choose = () => chooseWarmup(files, read, tokenize, warmupTokens);
  const frame = await frameOf(store, model, selection, files, choose);

  const name = `snapshots/${await keyOf(selection)}.json`;
  const limits = limitsFor(model.info.trainedContext);
  const key = sha256(
    JSON.stringify([snapshotVersion, limits]),
    frame.hash,
    ...files.flatMap(({ path, hash }) => [path, hash]),
  );
  const saved = await readSaved(store, name, key);
  if (saved && (await every(saved.segments, isStored))) {
    return { frame, ...saved };
  }

  const packed = await pack(files, { readText: read, tokenize, limits });
  const documents = packed.flatMap(asDocuments);
  const lexical = LexicalIndex.build(documents);
  const imports = importGraph(documents);
  const segments = packed.map((segment) => ({
    hash: store.hash(frame.text, segment.text),
    tokens: segment.tokens.length,
    lines: lineMapOf(segment),
    blank: blankLinesOf(segment),
  }));
  await store.folder.writeCache(
    name,
    JSON.stringify({ key, segments, lexical: lexical.serialize(), imports }),
  );
  return {
    frame,
    segments: segments.map((segment, i) => ({ ...segment, content: packed[i]?.tokens })),
    lexical,
    imports,
  };
}

async function readSaved(
  store: Store,
  name: string,
  key: string,
): Promise<Omit<Snapshot, 'frame'> | undefined> {
  const text = await store.folder.read(name);
  if (text === undefined) return undefined;
  try {
    const saved = savedSnapshot.parse(JSON.parse(text));
    if (saved.key !== key) return undefined;
    const { segments, imports } = saved;
    return { segments, imports, lexical: LexicalIndex.parse(saved.lexical) };
  } catch {
    // Of another version: it is made anew.
    return undefined;
  }
}

/**
 * The frame stays as it is for as long as its files are read: a new one makes every stored segment useless, but a file
 * that is left out now must not be shown to the model.
 */
async function frameOf(
  store: Store,
  model: NativeModel,
  selection: Selection,
  files: SourceFile[],
  choose: () => Promise<Warmup>,
): Promise<Frame> {
  const name = `frames/${sha256(await realpath(selection.root))}.json`;
  let warmup = await readWarmup(store, name, files);
  if (!warmup) {
    warmup = await choose();
    await store.folder.write(name, JSON.stringify(warmup));
  }
  const { head } = templateOf(model);
  const content = await tokenizeParts(model, [
    { text: head, special: true },
    { text: warmup.text, special: false },
  ]);
  const text = head + warmup.text;
  return { hash: store.hash(text), content, text };
}

async function readWarmup(store: Store, name: string, files: SourceFile[]): Promise<Warmup | undefined> {
  const text = await store.folder.read(name);
  if (text === undefined) return undefined;
  try {
    const warmup = savedWarmup.parse(JSON.parse(text));
    const kept = new Set(files.map(({ path }) => path));
    return warmup.paths.every((path) => kept.has(path)) ? warmup : undefined;
  } catch {
    // Damaged: it is chosen anew.
    return undefined;
  }
}

function readerOf(
  root: string,
  files: SourceFile[],
  signal: AbortSignal,
  onRead: (files: number) => void,
): (path: string) => Promise<string> {
  const done = new Set<string>();
  const hashes = new Map(files.map(({ path, hash }) => [path, hash]));
  return async (path) => {
    throwIfCancelled(signal);
    const text = await readText(root, path).catch((error: unknown) => {
      throw new TreeChanged(`${path} cannot be read any more`, { cause: error });
    });
    const hash = createHash('sha256').update(text).digest('hex');
    if (hash !== hashes.get(path)) throw new TreeChanged(`${path} has changed`);
    onRead(done.add(path).size);
    return text;
  };
}

function blankLinesOf(segment: Segment): number[][] {
  return piecesOf(segment).map(({ content }) =>
    content.split('\n').flatMap((line, index) => (/[\p{L}\p{N}]/u.test(line) ? [] : [index])),
  );
}

function asDocuments(segment: Segment, index: number): Document[] {
  return piecesOf(segment).map(({ path, content }) => ({ segment: index, path, text: content }));
}

async function keyOf({ root, include, exclude }: Selection): Promise<string> {
  // A root that is missing is scan's to report.
  const real = await realpath(root).catch(() => root);
  return sha256(real, JSON.stringify([include, exclude]));
}

async function every<T>(items: T[], test: (item: T) => Promise<boolean>): Promise<boolean> {
  for (const item of items) if (!(await test(item))) return false;
  return true;
}
