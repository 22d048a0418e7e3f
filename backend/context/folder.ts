import { randomBytes } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { log } from '../log.ts';

/** Part of the name of every file that is still being written, here and by the addon. */
export const temporaryMark = '.tmp-';

/** Small texts under names in a folder, safe for several processes: each is there as a whole or not at all. */
export class Folder {
  constructor(readonly directory: string) {}

  async read(name: string): Promise<string | undefined> {
    try {
      return await readFile(path.join(this.directory, name), 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  }

  /**
   * Replaces the text in one step.
   * @throws what the file system says; nothing is left behind then
   */
  async write(name: string, text: string): Promise<void> {
    const file = path.join(this.directory, name);
    await mkdir(path.dirname(file), { recursive: true });
    const temporary = `${file}${temporaryMark}${process.pid}-${randomBytes(4).toString('hex')}`;
    try {
      await writeFile(temporary, text);
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
