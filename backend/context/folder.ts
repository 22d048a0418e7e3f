import { createHash, randomBytes } from 'node:crypto';
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { log } from '../log.ts';

/** Part of the name of every file that is still being written, here and by the addon. */
export const temporaryMark = '.tmp-';

/**
 * Small texts under names in a folder, safe for several processes: each is there as a whole or not at all. The first
 * line of a file is the SHA-256 of the rest.
 */
export class Folder {
  constructor(readonly directory: string) {}

  /** The text; undefined when there is none, or when it is not as it was written, which is logged. */
  async read(name: string): Promise<string | undefined> {
    const file = path.join(this.directory, name);
    const sealed = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined;
      throw error;
    });
    if (sealed === undefined) return undefined;
    const text = sealed.slice(sealed.indexOf('\n') + 1);
    if (sealed === seal(text)) return text;
    log(`store: ${file} is damaged or of another version: it is made anew`);
    return undefined;
  }

  /**
   * Replaces the text in one step, and returns when it is on the disk.
   * @throws what the file system says; nothing is left behind then
   */
  async write(name: string, text: string): Promise<void> {
    const file = path.join(this.directory, name);
    await mkdir(path.dirname(file), { recursive: true });
    const temporary = `${file}${temporaryMark}${process.pid}-${randomBytes(4).toString('hex')}`;
    try {
      await writeSynced(temporary, seal(text));
      await rename(temporary, file);
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => undefined);
      throw error;
    }
  }

  /** Writes what only saves work later: failing is logged and no more. */
  async writeCache(name: string, text: string): Promise<void> {
    await this.write(name, text).catch((error: unknown) => log(`store: ${String(error)}: going on without`));
  }
}

function seal(text: string): string {
  return `${createHash('sha256').update(text).digest('hex')}\n${text}`;
}

async function writeSynced(file: string, text: string): Promise<void> {
  const handle = await open(file, 'w');
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
}
