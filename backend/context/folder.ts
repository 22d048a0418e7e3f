import { randomBytes } from 'node:crypto';
import { link, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';

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

  /** Replaces the text in one step. */
  async write(name: string, text: string): Promise<void> {
    await rename(await this.#writeTemporary(name, text), path.join(this.directory, name));
  }

  /** Keeps the text unless there is one already; returns the one that is kept. */
  async writeOnce(name: string, text: string): Promise<string> {
    const temporary = await this.#writeTemporary(name, text);
    try {
      await link(temporary, path.join(this.directory, name));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    } finally {
      await rm(temporary, { force: true });
    }
    return (await this.read(name)) ?? text;
  }

  async #writeTemporary(name: string, text: string): Promise<string> {
    const file = path.join(this.directory, name);
    await mkdir(path.dirname(file), { recursive: true });
    const temporary = `${file}${temporaryMark}${process.pid}-${randomBytes(4).toString('hex')}`;
    await writeFile(temporary, text);
    return temporary;
  }
}
