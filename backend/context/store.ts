/**
 * The store on disk. Everything in it is content-addressed, or written under a temporary name and renamed, so that
 * several backends share it without locks and a killed one leaves nothing half-written behind:
 *
 *     <store>/scans/<repository>.json                             what the last scan found in each file
 *     <store>/<model and recipe>/segments/ab/<hash>.seg           K/V of a frame or segment (written by the addon)
 *     <store>/<model and recipe>/frames/<repository>.json         the warm-up code of a repository, and whose it is
 *     <store>/<model and recipe>/snapshots/<repository>.json      the last seen state of a repository, in segments
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, rm, stat, statfs } from 'node:fs/promises';
import path from 'node:path';
import prettyBytes from 'pretty-bytes';
import { isCorruptSegment } from '../engine/native-errors.ts';
import type { NativeAddon, NativeSegment } from '../engine/native.ts';
import { UserError } from '../errors.ts';
import { log } from '../log.ts';
import { Folder, temporaryMark } from './folder.ts';

/** Raised when the same text would give other K/V: positions, chunking, how text becomes tokens. */
const recipe = 1;
const kvType = 'f16';
/** Left free on the disk, for everything else. */
const reserveBytes = 64 << 20;
/** A file that has been temporary for longer belongs to a process that was killed. */
const abandonedMs = 10 * 60_000;

export function sha256(...parts: string[]): string {
  const hash = createHash('sha256');
  // The lengths keep ('a', 'bc') and ('ab', 'c') apart.
  for (const part of parts) hash.update(`${Buffer.byteLength(part)}:`).update(part);
  return hash.digest('hex');
}

/** The part of the store that belongs to one model. */
export class Store {
  readonly folder: Folder;
  readonly #modelIdentity: string;

  constructor(root: string, modelIdentity: string) {
    this.#modelIdentity = modelIdentity;
    this.folder = new Folder(path.join(root, sha256(modelIdentity, String(recipe), kvType).slice(0, 16)));
  }

  /** The name of the K/V of this text behind this frame; of the frame's own without `text`. */
  hash(frame: string, text = ''): string {
    return sha256(this.#modelIdentity, String(recipe), kvType, frame, text);
  }

  /** Where to keep a segment; the folder is made. */
  async segmentPath(hash: string): Promise<string> {
    const file = this.#path(hash);
    await mkdir(path.dirname(file), { recursive: true });
    return file;
  }

  /** Maps a stored segment; undefined when it is absent. A damaged one is deleted, so that it is computed again. */
  async open(addon: NativeAddon, hash: string, tokens: number): Promise<NativeSegment | undefined> {
    const file = this.#path(hash);
    if (!existsSync(file)) return undefined;
    try {
      const segment = addon.openSegment(file);
      if (segment.tokens === tokens) return segment;
      segment.close();
      log(`store: ${file} holds ${segment.tokens} tokens and not ${tokens}: it is computed again`);
    } catch (error) {
      if (!isCorruptSegment(error)) throw error;
      log(`store: ${(error as Error).message}: it is computed again`);
    }
    await rm(file, { force: true });
    return undefined;
  }

  /** @throws UserError `noSpace` when the disk cannot take this many bytes more */
  async ensureSpace(bytes: number): Promise<void> {
    const { directory } = this.folder;
    await mkdir(directory, { recursive: true });
    const { bavail, bsize } = await statfs(directory);
    const free = bavail * bsize;
    if (free >= bytes + reserveBytes) return;
    throw new UserError(
      'noSpace',
      `Reading this repository takes ${prettyBytes(bytes)} on the disk of ${directory}, where ${prettyBytes(free)} are free: ` +
        'free some space, leave files out with --exclude, or move the store with REPOWAVE_STORE.',
    );
  }

  /** Removes what killed processes were writing. */
  async sweep(): Promise<void> {
    const { directory } = this.folder;
    const entries = await readdir(directory, { recursive: true });
    for (const entry of entries.filter((name) => name.includes(temporaryMark))) {
      const file = path.join(directory, entry);
      const found = await stat(file).catch(() => undefined);
      if (found && found.mtimeMs < Date.now() - abandonedMs) await rm(file, { force: true });
    }
  }

  #path(hash: string): string {
    return path.join(this.folder.directory, 'segments', hash.slice(0, 2), `${hash}.seg`);
  }
}
