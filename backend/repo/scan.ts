/** Reads a repository: which files the model gets to see, and which not and why. */
import { createHash } from 'node:crypto';
import { lstat, realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';
import prettyBytes from 'pretty-bytes';
import { throwIfCancelled, UserError } from '../errors.ts';
import type { ExcludedFile } from '../protocol.ts';
import type { CachedFile, ScanCache } from './cache.ts';
import { isReliable, isUnchanged, stampOf } from './cache.ts';
import { excludedByText } from './classify.ts';
import { patternsOf } from './ignore.ts';
import { readRules } from './rules.ts';
import { findSecret } from './secrets.ts';
import { decode, readRegularFile } from './text.ts';
import type { WalkOptions } from './walk.ts';
import { unreadable, walk } from './walk.ts';

export interface SourceFile {
  /** Relative to the root, with forward slashes. */
  path: string;
  /** On disk. */
  bytes: number;
  mtimeMs: number;
  /** SHA-256, in hex, of the text as UTF-8 with line feeds. */
  hash: string;
}

export interface Scan {
  /** Sorted by path. */
  files: SourceFile[];
  /** Sorted by path; a path that ends in a slash is a whole folder. */
  excluded: ExcludedFile[];
  /** Paths of files that every question looks at closely. */
  pinned: string[];
  /** The most tokens of a context, if the repository has its own limit. */
  tokens?: number;
}

export interface ScanOptions extends Omit<WalkOptions, 'rules'> {
  /** Larger files are left out. Default: 1 MiB. */
  maxFileBytes?: number;
  /** Called now and then with the number of files looked at. */
  onProgress?: (files: number) => void;
  /** What an earlier scan of this root left; brought up to date in place. */
  cache?: ScanCache;
}

const DEFAULT_MAX_FILE_BYTES = 1024 * 1024;

/** Enough to keep the thread pool busy; at most so many files are in memory. */
const CONCURRENCY = 8;
const PROGRESS_EVERY = 100;

/**
 * Scans the repository at `root`. Holds a few files in memory at a time, however many there are.
 * Throws a `UserError` for a root that is missing, no folder, empty, or from which nothing remains, for rules that
 * cannot be understood, and `cancelled`.
 */
export async function scan(options: ScanOptions): Promise<Scan> {
  const startMs = Date.now();
  const root = await resolveRoot(options.root);
  const rules = await readRules(root);
  const { files: paths, excluded } = await walk({ ...options, root, rules });
  const kept: SourceFile[] = [];
  const cache: ScanCache = new Map();

  const judge = async (path: string) => {
    const entry = await look(root, path, options);
    if (entry.cached && isReliable(entry.cached, startMs)) cache.set(path, entry.cached);
    if ('reason' in entry) excluded.push({ file: path, reason: entry.reason });
    else kept.push({ path, bytes: entry.bytes, mtimeMs: entry.mtimeMs, hash: entry.hash });
  };
  await forEach(paths, options, judge);

  options.cache?.clear();
  for (const [path, file] of cache) options.cache?.set(path, file);
  if (kept.length === 0) throw nothingToRead(root, excluded);
  const files = kept.sort(by(({ path }) => path));
  const pins = patternsOf(rules.pinned);
  const pinned = files.map(({ path }) => path).filter((path) => pins.ignores(path));
  return { files, excluded: collapse(excluded, files), pinned, tokens: rules.tokens };
}

async function resolveRoot(root: string): Promise<string> {
  const found = await stat(root).catch(() => undefined);
  if (!found)
    throw new UserError(
      'repositoryMissing',
      `There is no folder ${root}, or it may not be read; check the path.`,
    );
  if (!found.isDirectory())
    throw new UserError('repositoryNotAFolder', `${root} is a file; name the folder of a repository.`);
  return realpath(root);
}

type Look = { cached?: CachedFile } & (Omit<SourceFile, 'path'> | { reason: string });

/** Judges one candidate, reading it only when it has changed since it was cached. */
async function look(root: string, path: string, options: ScanOptions): Promise<Look> {
  const limit = options.maxFileBytes ?? DEFAULT_MAX_FILE_BYTES;
  const file = join(root, path);
  try {
    const known = options.cache?.get(path);
    if (known && known.size <= limit && isUnchanged(known, await lstat(file))) return lookOf(known);
    const { stat, bytes } = await readRegularFile(file, limit);
    if (!bytes) return { reason: `too large: ${prettyBytes(stat.size)}, the limit is ${prettyBytes(limit)}` };
    return lookOf({ ...stampOf(stat), ...(await verdict(file, bytes)) });
  } catch (error) {
    return { reason: unreadable(path, error) };
  }
}

function lookOf(cached: CachedFile): Look {
  if ('reason' in cached) return { cached, reason: cached.reason };
  return { cached, bytes: cached.size, mtimeMs: cached.mtimeMs, hash: cached.hash };
}

async function verdict(file: string, bytes: Buffer): Promise<{ hash: string } | { reason: string }> {
  const text = await decode(bytes);
  if (text === undefined) return { reason: 'binary' };
  const reason = excludedByText(text);
  if (reason) return { reason };
  const secret = await findSecret(file, text);
  if (secret) return { reason: `may hold a secret (${secret.kind}, line ${secret.line})` };
  return { hash: createHash('sha256').update(text).digest('hex') };
}

/** Runs `work` on every path, a few at a time, until done or cancelled. */
async function forEach(
  paths: string[],
  { signal, onProgress }: ScanOptions,
  work: (path: string) => Promise<void>,
): Promise<void> {
  let next = 0;
  const worker = async () => {
    while (next < paths.length) {
      throwIfCancelled(signal);
      await work(paths[next++]!);
      if (next % PROGRESS_EVERY === 0) onProgress?.(next);
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, worker));
  onProgress?.(paths.length);
}

function nothingToRead(root: string, excluded: ExcludedFile[]): UserError {
  const reasons = new Map<string, number>();
  for (const { reason } of excluded.filter(({ file }) => !/^\.(?:git|hg|svn|jj)\/?$/.test(file)))
    reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
  if (reasons.size === 0)
    return new UserError('repositoryEmpty', `${root} has no files; name the folder of a repository.`);
  const [commonest] = [...reasons].sort(by(([, count]) => -count))[0]!;
  return new UserError(
    'everythingExcluded',
    `Every file in ${root} is left out (mostly: ${commonest}); change .repowaveignore, .repowave.json or the include and exclude patterns.`,
  );
}

/** A folder with more files than this that are left out for one reason, and none that is read, becomes one entry. */
const LISTED_PER_FOLDER = 20;

function collapse(excluded: ExcludedFile[], kept: SourceFile[]): ExcludedFile[] {
  const alive = new Set(kept.flatMap(({ path }) => foldersOf(path)));
  const groups = new Map<string, { folder?: string; entries: ExcludedFile[] }>();
  for (const entry of excluded) {
    const folder = foldersOf(entry.file).find((candidate) => !alive.has(candidate));
    const key = JSON.stringify([folder ?? entry.file, entry.reason]);
    const group = groups.get(key);
    if (group) group.entries.push(entry);
    else groups.set(key, { folder, entries: [entry] });
  }
  const listed = [...groups.values()].flatMap(({ folder, entries }) =>
    folder === undefined || entries.length <= LISTED_PER_FOLDER
      ? entries
      : [{ file: folder, reason: `${entries[0]!.reason} (${entries.length} files)` }],
  );
  return listed.sort(by(({ file }) => file));
}

/** The folders that hold a path, the outermost first, each ending in a slash. */
function foldersOf(path: string): string[] {
  const folders: string[] = [];
  for (let end = path.indexOf('/'); end >= 0 && end < path.length - 1; end = path.indexOf('/', end + 1))
    folders.push(path.slice(0, end + 1));
  return folders;
}

function by<T>(key: (item: T) => string | number): (a: T, b: T) => number {
  return (a, b) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0);
}
