/** The file that a model grows in until it is whole. */
import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { open, rename, rm, statfs } from 'node:fs/promises';
import { createReadStream } from 'node:fs';
import { basename, dirname } from 'node:path';
import prettyBytes from 'pretty-bytes';
import { throwIfCancelled, UserError } from '../errors.ts';

export function noSpace(directory: string, bytes: number, cause?: unknown): UserError {
  return new UserError(
    'noSpace',
    `There is not enough free space in ${directory} for a download of ${prettyBytes(bytes)}; free some, or set REPOWAVE_MODELS to a folder on another disk.`,
    { cause },
  );
}

/** Throws `noSpace` when `bytes` more bytes do not fit beside `directory`. */
export async function requireSpace(directory: string, bytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(directory);
  if (bavail * bsize < bytes) throw noSpace(directory, bytes);
}

/** The sha256 of a file, in hex. */
export async function sha256Of(path: string, signal?: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 }) as AsyncIterable<Buffer>) {
    throwIfCancelled(signal);
    hash.update(chunk);
  }
  return hash.digest('hex');
}

/** Bytes are appended and hashed as they come; the file gets its real name only when the hash is right. */
export class PartialFile {
  private hash = createHash('sha256');
  /** What is in the file. */
  bytes = 0;

  private constructor(
    private readonly path: string,
    private readonly handle: FileHandle,
    private readonly expectedBytes: number,
  ) {}

  /** Goes on behind what an earlier attempt has left in the file, unless that cannot be right. */
  static async open(path: string, expectedBytes: number): Promise<PartialFile> {
    const file = new PartialFile(path, await open(path, 'a+'), expectedBytes);
    const kept = file.handle.createReadStream({ start: 0, autoClose: false, highWaterMark: 1 << 20 });
    for await (const chunk of kept as AsyncIterable<Buffer>) {
      file.hash.update(chunk);
      file.bytes += chunk.length;
    }
    if (file.bytes > expectedBytes) await file.restart();
    return file;
  }

  /** Throws away what is there. */
  async restart(): Promise<void> {
    await this.handle.truncate(0);
    this.hash = createHash('sha256');
    this.bytes = 0;
  }

  async append(chunk: Uint8Array): Promise<void> {
    try {
      await this.handle.appendFile(chunk);
    } catch (cause) {
      if (!['ENOSPC', 'EDQUOT'].includes((cause as NodeJS.ErrnoException).code ?? '')) throw cause;
      throw noSpace(dirname(this.path), this.expectedBytes - this.bytes, cause);
    }
    this.hash.update(chunk);
    this.bytes += chunk.length;
  }

  close(): Promise<void> {
    return this.handle.close();
  }

  /** Gives the file its name; a wrong one is removed and `checksumMismatch` thrown. */
  async finish(target: string, sha256: string): Promise<void> {
    await this.handle.sync();
    if (this.hash.digest('hex') !== sha256) {
      await rm(this.path);
      throw checksumMismatch(target);
    }
    await rename(this.path, target);
  }
}

export function checksumMismatch(path: string): UserError {
  return new UserError(
    'checksumMismatch',
    `${basename(path)} is not the file it should be (its sha256 is wrong) and was removed; try again, and if it happens again get the model elsewhere and pass it with --model PATH.`,
  );
}
