/** One state of a repository's tree, cut into segments. */
import { createHash } from 'node:crypto';
import { realpath } from 'node:fs/promises';
import type { NativeModel, Tokenized } from '../engine/native.ts';
import { throwIfCancelled } from '../errors.ts';
import { parseCache, serializeCache } from '../repo/cache.ts';
import type { ImportGraph } from '../repo/imports.ts';
import type { LineMap } from '../repo/lines.ts';
import type { PackLimits } from '../repo/pack.ts';
import { scan, type Scan, type SourceFile } from '../repo/scan.ts';
import { readText } from '../repo/text.ts';
import { limitsFor } from './assemble.ts';
import { packFiles, type Description } from './described.ts';
import { Folder } from './folder.ts';
import { frameOf, type Frame } from './frame.ts';
import { LexicalIndex, type IndexedDocument } from './lexical.ts';
import { rebuild } from './origin.ts';
import { SavedSnapshots, type Details, type SavedSnapshot } from './saved.ts';
import { sha256, type Store } from './store.ts';

/** Raised when the same files would be packed, mapped to lines or indexed differently: saved snapshots are then made anew. */
const snapshotVersion = 5;

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
}

export interface Snapshot {
  frame: Frame;
  /** The most tokens that it may have. */
  budget: number;
  segments: SnapshotSegment[];
  lexical: Pick<LexicalIndex, 'rank' | 'holders'>;
  /** Which files import which. */
  imports: ImportGraph;
  /** Up to when the last question has seen changes, in milliseconds; undefined when there was none. */
  askedMs: number | undefined;
  /**
   * The tokens of a segment, from the files as they are now.
   * @throws TreeChanged
   */
  contentOf(segment: SnapshotSegment): Promise<Int32Array>;
  /** Says that it is in use, so that no process clears its segments away. */
  touch(): Promise<void>;
  /** Says that a question has seen all changes up to then. */
  noteAsked(ms: number): Promise<void>;
}

/** Thrown when a file is no longer what the scan saw, or the store what it was: the tree must be scanned again. */
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
  signal: AbortSignal;
  /** Called with the number of files read so far. */
  onRead: (files: number) => void;
  /** The repository's own limit of tokens. */
  tokens?: number;
}

/**
 * The snapshot of scanned files for one model, which is then in use. Nothing is read or tokenized when the tree is as
 * it was at some time before.
 * @throws TreeChanged
 */
export async function takeSnapshot(
  store: Store,
  model: NativeModel,
  selection: Selection,
  files: SourceFile[],
  { signal, onRead, tokens }: SnapshotOptions,
): Promise<Snapshot> {
  const read = readerOf(selection.root, files, signal, onRead);
  const readAgain = readerOf(selection.root, files, signal, () => undefined);
  const tokenize = (text: string): Promise<Tokenized> => model.tokenize(text, false);
  const frame = await frameOf(store, model);
  const limits = limitsFor(model.info.trainedContext, tokens);
  const saved = new SavedSnapshots(store.folder, await keyOf(selection));
  const packing = packingOf(frame.hash, limits);
  const state = stateOf(packing, files);
  const askedMs = await saved.askedMs();
  let found = await saved.read(state);
  if (!found) {
    const tools = { readText: read, tokenize, limits };
    const before = await saved.latest();
    const earlier = before?.details.packing === packing ? before : undefined;
    const description = await packFiles(files, tools, earlier, (text) => store.hash(frame.text, text));
    const root = await realpath(selection.root);
    found = savedForm({ root, model: store.modelName, frame, packing }, description);
    await saved.write(state, found.manifest, found.details);
  }
  await saved.touch(state);

  const { manifest, details } = found;
  const origins = new Map(manifest.segments.map(({ hash }, i) => [hash, details.segments[i]!.origin]));
  return {
    frame,
    budget: limits.total,
    segments: manifest.segments.map((segment, i) => {
      const { lines, blank } = details.segments[i]!;
      return { ...segment, lines, blank };
    }),
    lexical: new LexicalIndex(documentsOf(details)),
    imports: details.imports,
    askedMs,
    contentOf: async ({ hash, lines }) => {
      const { text, tokens } = await rebuild(lines, origins.get(hash)!, readAgain, tokenize);
      if (store.hash(frame.text, text) !== hash) throw new Error(`Segment ${hash} came out as another one.`);
      return tokens;
    },
    touch: () => saved.touch(state),
    noteAsked: (ms) => saved.noteAsked(ms),
  };
}

/** Names a state of the files, for people: short. */
export function treeState(files: readonly Pick<SourceFile, 'path' | 'hash'>[]): string {
  return sha256(JSON.stringify(files.map(({ path, hash }) => [path, hash]))).slice(0, 10);
}

/** Names all that a packing depends on beside the files. */
export function packingOf(frame: string, limits: PackLimits): string {
  return sha256(JSON.stringify([snapshotVersion, limits, frame]));
}

/** Names a state of the tree, packed in this way. */
export function stateOf(packing: string, files: readonly Pick<SourceFile, 'path' | 'hash'>[]): string {
  return sha256(packing, JSON.stringify(files.map(({ path, hash }) => [path, hash])));
}

/** In the form in which it is saved. */
function savedForm(
  { root, model, frame, packing }: { root: string; model: string; frame: Frame; packing: string },
  { segments, ...rest }: Description,
): SavedSnapshot {
  return {
    manifest: {
      ...{ root, model, frame: { hash: frame.hash, tokens: frame.content.length } },
      segments: segments.map(({ stored }) => stored),
    },
    details: { packing, segments: segments.map(({ details }) => details), ...rest },
  };
}

function documentsOf({ segments }: Details): IndexedDocument[] {
  return segments.flatMap(({ lines, words }, segment) =>
    lines.sources.map(({ path }, i) => ({ segment, path, words: words[i]! })),
  );
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

async function keyOf({ root, include, exclude }: Selection): Promise<string> {
  // A root that is missing is scan's to report.
  const real = await realpath(root).catch(() => root);
  return sha256(real, JSON.stringify([include, exclude]));
}
