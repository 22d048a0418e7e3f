/** What this process has read of folders, so that later changes can be told. Pure. */
import type { SourceFile } from '../repo/scan.ts';
import type { Selection } from './snapshot.ts';

type Hashed = Pick<SourceFile, 'path' | 'hash'>;

export class Seen {
  readonly #files = new Map<string, Map<string, string>>();

  /** @param only files that were looked at again, of all; undefined: the whole state of the tree was */
  note(selection: Selection, files: readonly Hashed[], only?: readonly string[]): void {
    const key = keyOf(selection);
    const now = new Map(files.map(({ path, hash }) => [path, hash]));
    const before = this.#files.get(key);
    if (!only || !before) {
      this.#files.set(key, now);
      return;
    }
    for (const path of only) {
      const hash = now.get(path);
      if (hash === undefined) before.delete(path);
      else before.set(path, hash);
    }
  }

  /** Files that are new, gone or different, sorted; none where nothing has been read. */
  changes(selection: Selection, files: readonly Hashed[]): string[] {
    const before = this.#files.get(keyOf(selection));
    if (!before) return [];
    const now = new Map(files.map(({ path, hash }) => [path, hash]));
    const paths = new Set([...before.keys(), ...now.keys()]);
    return [...paths].filter((path) => before.get(path) !== now.get(path)).sort();
  }

  /** Those of the paths that have been read, or would be. */
  held(selection: Selection, files: readonly Hashed[], paths: readonly string[]): string[] {
    const before = this.#files.get(keyOf(selection));
    if (!before) return [];
    const now = new Set(files.map(({ path }) => path));
    return paths.filter((path) => before.has(path) || now.has(path));
  }
}

const keyOf = ({ root, include, exclude }: Selection): string => JSON.stringify([root, include, exclude]);
