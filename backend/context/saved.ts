/**
 * Snapshots on disk, one file per state of a tree, so that a switch back to another branch finds everything:
 * a line that says which segments it has, for those who look after the store, and a line with the rest. When a state
 * was in use last is the time of its file.
 */
import { readdir, rm, stat, utimes } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import type { ImportGraph } from '../repo/imports.ts';
import type { LineMap } from '../repo/lines.ts';
import { temporaryMark, type Folder } from './folder.ts';
import { parseJson } from './json.ts';
import type { DocumentWords } from './lexical.ts';
import type { Origin } from './origin.ts';

/** So many states of a repository are remembered. */
const mostStates = 8;

const stored = z.object({ hash: z.string().regex(/^[0-9a-f]{64}$/), tokens: z.number() });
const manifestSchema = z.object({
  /** The repository's folder. */
  root: z.string(),
  model: z.string(),
  frame: stored,
  segments: z.array(stored),
});
export type Manifest = z.infer<typeof manifestSchema>;

const detailsSchema = z.object({
  /** Names how files are packed. */
  packing: z.string(),
  /** With the tokens of each as a segment of its own, and what it imports, as paths that are not looked up yet. */
  files: z.array(
    z.object({ path: z.string(), hash: z.string(), tokens: z.number(), targets: z.array(z.string()) }),
  ),
  segments: z.array(
    z.object({
      lines: z.custom<LineMap>(),
      blank: z.array(z.array(z.number())),
      /** Per source of `lines`. */
      words: z.array(z.custom<DocumentWords>()),
      origin: z.custom<Origin>(),
    }),
  ),
  imports: z.record(z.string(), z.array(z.string())) satisfies z.ZodType<ImportGraph>,
});
export type Details = z.infer<typeof detailsSchema>;

export interface SavedSnapshot {
  manifest: Manifest;
  details: Details;
}

/** The states of one selection of files. */
export class SavedSnapshots {
  readonly #name: string;
  readonly #asked: string;

  /** @param selection names which files of which folder */
  constructor(
    private readonly folder: Folder,
    selection: string,
  ) {
    this.#name = `snapshots/${selection}`;
    this.#asked = `asked/${selection}`;
  }

  async read(state: string): Promise<SavedSnapshot | undefined> {
    const text = await this.folder.read(this.#file(state));
    const end = text?.indexOf('\n');
    const manifest = text === undefined ? undefined : parseManifest(text.slice(0, end));
    const details = parseJson(detailsSchema, text?.slice(end));
    return manifest && details && { manifest, details };
  }

  /** The state that was in use last. */
  async latest(): Promise<SavedSnapshot | undefined> {
    const [latest] = await this.#states();
    return latest && this.read(path.basename(latest.file, '.json'));
  }

  /** Remembers a state; the one that was not in use for longest is forgotten when there are too many. */
  async write(state: string, manifest: Manifest, details: Details): Promise<void> {
    await this.folder.writeCache(
      this.#file(state),
      `${JSON.stringify(manifest)}\n${JSON.stringify(details)}`,
    );
    const states = await this.#states();
    for (const { file } of states.slice(mostStates)) await rm(file, { force: true });
  }

  /** Says that a state is in use. */
  async touch(state: string): Promise<void> {
    const now = new Date();
    // Another process may have removed it.
    await utimes(path.join(this.folder.directory, this.#file(state)), now, now).catch(() => undefined);
  }

  /** Up to when the last question has seen changes, in milliseconds; undefined when there was none. */
  async askedMs(): Promise<number | undefined> {
    const text = await this.folder.read(this.#asked);
    return text === undefined ? undefined : Number(text);
  }

  async noteAsked(ms: number): Promise<void> {
    await this.folder.writeCache(this.#asked, String(ms));
  }

  /** The most recently used first. */
  async #states(): Promise<{ file: string; usedMs: number }[]> {
    const directory = path.join(this.folder.directory, this.#name);
    const names = await readdir(directory).catch(() => []);
    const states = await Promise.all(
      names
        .filter((name) => !name.includes(temporaryMark))
        .map(async (name) => {
          const file = path.join(directory, name);
          return { file, usedMs: (await stat(file).catch(() => undefined))?.mtimeMs ?? 0 };
        }),
    );
    return states.sort((a, b) => b.usedMs - a.usedMs);
  }

  #file(state: string): string {
    return `${this.#name}/${state}.json`;
  }
}

/** The first of the two lines; undefined when it is of another version. */
export function parseManifest(line: string): Manifest | undefined {
  return parseJson(manifestSchema, line);
}
