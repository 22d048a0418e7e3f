/** Lists the files of a repository that are candidates for reading, without opening any of them. */
import type { Dirent } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { throwIfCancelled } from '../errors.ts';
import type { ExcludedFile } from '../protocol.ts';
import { excludedByName } from './classify.ts';
import type { IgnoreState, Level } from './ignore.ts';
import {
  addIgnoreFiles,
  generatedLevel,
  ignoredBy,
  levelsInside,
  patternsOf,
  readSurroundings,
} from './ignore.ts';
import { RULES_FILE, type Rules } from './rules.ts';

export interface WalkOptions {
  /** Absolute. */
  root: string;
  /** In .gitignore's syntax. `include` empty or absent means everything. */
  include?: readonly string[];
  exclude?: readonly string[];
  /** Stronger than every ignore file. */
  rules?: Pick<Rules, 'out' | 'in'>;
  signal?: AbortSignal;
}

interface Folder extends IgnoreState {
  /** Relative to the root: '' or ending in a slash. */
  path: string;
  generated: Level[];
}

const VERSION_CONTROL = new Set(['.git', '.hg', '.svn', '.jj']);
const VERSION_CONTROL_DATA = "the version control's own data";

/**
 * The relative paths of the candidates, and what was left out: one entry, ending in a slash, for a folder that is
 * left out as a whole. Links are never followed. Nested repositories and checked-out submodules are part of what
 * the user sees and are read like folders, under the outer rules and their own; a linked working tree is a copy
 * of files that are elsewhere and is left out.
 */
export async function walk(options: WalkOptions): Promise<{ files: string[]; excluded: ExcludedFile[] }> {
  const { prefix, git, own } = await readSurroundings(options.root);
  const walker = new Walker(options, prefix);
  const folders: Folder[] = [{ path: '', git, own, generated: [] }];
  for (let folder = folders.pop(); folder; folder = folders.pop()) {
    throwIfCancelled(options.signal);
    folders.push(...(await walker.visit(folder)));
  }
  return walker;
}

class Walker {
  readonly files: string[] = [];
  readonly excluded: ExcludedFile[] = [];
  private readonly include;
  private readonly exclude;
  private readonly rules: Level;

  constructor(
    private readonly options: WalkOptions,
    /** The root's place in the repository that it is part of. */
    private readonly prefix: string,
  ) {
    this.include = options.include?.length ? patternsOf(options.include) : undefined;
    this.exclude = patternsOf(options.exclude ?? []);
    const { out = [], in: back = [] } = options.rules ?? {};
    const patterns = patternsOf([...out, ...back.map((pattern) => `!${pattern}`)]);
    this.rules = { patterns, base: prefix, reason: `left out by ${RULES_FILE}` };
  }

  /** Sorts the entries of one folder; returns the folders in it that are to be visited. */
  async visit(folder: Folder): Promise<Folder[]> {
    const directory = join(this.options.root, folder.path);
    let entries: Dirent[];
    try {
      entries = await readdir(directory, { withFileTypes: true });
    } catch (error) {
      this.leaveOut(folder.path || './', unreadable(folder.path, error));
      return [];
    }
    if (folder.path && (await isLinkedWorkingTree(directory, entries))) {
      this.leaveOut(folder.path, 'another working tree of a repository');
      return [];
    }
    const inside = await this.enter(folder, directory, entries);
    const levels = [...inside.git, ...inside.own, this.rules];
    return entries.flatMap((entry) => this.sort(inside, levels, entry));
  }

  /** The folder with the patterns that hold for its entries. */
  private async enter(folder: Folder, directory: string, entries: Dirent[]): Promise<Folder> {
    const base = this.prefix + folder.path;
    const inside: Folder = {
      path: folder.path,
      git: levelsInside(folder.git, base),
      own: levelsInside(folder.own, base),
      generated: folder.generated,
    };
    const names = entries.filter((entry) => entry.isFile()).map(({ name }) => name);
    await addIgnoreFiles(inside, directory, base, names);
    if (names.includes('.gitattributes'))
      inside.generated = [...inside.generated, ...(await generatedLevel(directory, base))];
    return inside;
  }

  private sort(folder: Folder, levels: Level[], entry: Dirent): Folder[] {
    const path = folder.path + entry.name;
    if (entry.isDirectory()) {
      if (VERSION_CONTROL.has(entry.name)) this.leaveOut(`${path}/`, VERSION_CONTROL_DATA);
      else if (!this.ignore(levels, `${path}/`)) return [{ ...folder, path: `${path}/` }];
    } else if (entry.name === '.git') {
      this.leaveOut(path, VERSION_CONTROL_DATA);
    } else if (!this.ignore(levels, path)) {
      const reason = this.excludesFile(folder, path, entry);
      if (reason === undefined) this.files.push(path);
      else this.leaveOut(path, reason);
    }
    return [];
  }

  /** Whether patterns leave out a file, or a folder with all that is in it. */
  private ignore(levels: Level[], path: string): boolean {
    const reason = ignoredBy(levels, this.prefix + path);
    if (reason !== undefined) this.excluded.push({ file: path, reason, ignored: true });
    else if (this.exclude.ignores(path)) this.leaveOut(path, 'left out by the exclude patterns');
    else return false;
    return true;
  }

  private excludesFile(folder: Folder, path: string, entry: Dirent): string | undefined {
    if (path === RULES_FILE) return "RepoWave's own rules";
    if (this.include && !this.include.ignores(path)) return 'not among the include patterns';
    if (entry.isSymbolicLink()) return 'symbolic link, never followed';
    if (!entry.isFile()) return 'not a regular file';
    return excludedByName(path) ?? ignoredBy(folder.generated, this.prefix + path);
  }

  private leaveOut(file: string, reason: string): void {
    this.excluded.push({ file, reason });
  }
}

/** Why the system did not give a file or folder; rethrows what is no answer of the system. */
export function unreadable(path: string, error: unknown): string {
  const { code } = error as NodeJS.ErrnoException;
  switch (code) {
    case undefined:
      throw error;
    case 'ENOENT':
      // Names that are no UTF-8 arrive with the replacement character, by which nothing can be opened.
      return path.includes('\uFFFD') ? 'its name is not UTF-8' : CHANGED;
    case 'ESTALE':
    case 'ELOOP':
      return CHANGED;
    case 'EACCES':
    case 'EPERM':
      return 'unreadable: no permission';
    default:
      return `unreadable: ${code}`;
  }
}

const CHANGED = 'changed while the repository was read';

/** `git worktree add` leaves a file .git that names a folder in the repository's `worktrees`. */
async function isLinkedWorkingTree(directory: string, entries: Dirent[]): Promise<boolean> {
  if (!entries.some((entry) => entry.name === '.git' && entry.isFile())) return false;
  const pointer = await readFile(join(directory, '.git'), 'utf8').catch(() => '');
  return /^gitdir: .*[\\/]worktrees[\\/]/.test(pointer);
}
