/**
 * The store on disk. Everything in it is content-addressed, or written under a temporary name and renamed, so that
 * several backends share it without locks and a killed one leaves nothing half-written behind:
 *
 *     <store>/scans/<selection>.json                                what the last scan found in each file
 *     <store>/<model and recipe>/segments/ab/<hash>.seg             K/V of a frame or segment (written by the addon)
 *     <store>/<model and recipe>/snapshots/<selection>/<state>.json a state of a repository, in segments
 *     <store>/<model and recipe>/asked/<selection>                  up to when the last question has seen changes
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { isCorruptSegment } from '../engine/native-errors.ts';
import type { NativeAddon, NativeSegment } from '../engine/native.ts';
import { log } from '../log.ts';
import type { KvForm } from '../protocol.ts';
import { Folder } from './folder.ts';

/** Raised when the same text would give other K/V: positions, chunking, how text becomes tokens. */
const recipe = 2;

export function sha256(...parts: string[]): string {
  const hash = createHash('sha256');
  // The lengths keep ('a', 'bc') and ('ab', 'c') apart.
  for (const part of parts) hash.update(`${Buffer.byteLength(part)}:`).update(part);
  return hash.digest('hex');
}

/** The part of the store that belongs to one model and form of K/V. */
export class Store {
  readonly folder: Folder;
  readonly #modelIdentity: string;

  /** @param modelName for people */
  constructor(
    readonly root: string,
    modelIdentity: string,
    readonly modelName = modelIdentity,
    readonly kv: KvForm = 'f16',
  ) {
    this.#modelIdentity = modelIdentity;
    this.folder = new Folder(path.join(root, sha256(modelIdentity, String(recipe), kv).slice(0, 16)));
  }

  /** The name of the K/V of this text behind this frame; of the frame's own without `text`. */
  hash(frame: string, text = ''): string {
    return sha256(this.#modelIdentity, String(recipe), this.kv, frame, text);
  }

  /** Where to keep a segment; the folder is made. */
  async segmentPath(hash: string): Promise<string> {
    const file = this.#path(hash);
    await mkdir(path.dirname(file), { recursive: true });
    return file;
  }

  has(hash: string): boolean {
    return existsSync(this.#path(hash));
  }

  /** Opens a stored segment; undefined when it is absent. A damaged one is deleted, so that it is computed again. */
  async open(addon: NativeAddon, hash: string, tokens: number): Promise<NativeSegment | undefined> {
    const file = this.#path(hash);
    if (!existsSync(file)) return undefined;
    try {
      const segment = addon.openSegment(file);
      if (segment.tokens === tokens) return segment;
      segment.close();
      log(`store: ${file} holds ${segment.tokens} tokens and not ${tokens}: it is computed again`);
    } catch (error) {
      // Another process has just cleared it away.
      if (!existsSync(file)) return undefined;
      if (!isCorruptSegment(error)) throw error;
      log(`store: ${(error as Error).message}: it is computed again`);
    }
    await rm(file, { force: true });
    return undefined;
  }

  #path(hash: string): string {
    return path.join(this.folder.directory, 'segments', hash.slice(0, 2), `${hash}.seg`);
  }
}

/** Removes the file that the addon found to be damaged, so that it is computed again; false for any other error. */
export async function removeDamaged(error: unknown): Promise<boolean> {
  if (!isCorruptSegment(error)) return false;
  const { message } = error as Error;
  const file = /^.*\.seg(?= )/s.exec(message)?.[0];
  if (file === undefined) return false;
  log(`store: ${message}: it is computed again`);
  await rm(file, { force: true });
  return true;
}
