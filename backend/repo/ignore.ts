/** What .gitignore, .repowaveignore and .gitattributes files say, with git's rules of precedence. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { promisify } from 'node:util';
import ignore, { type Ignore } from 'ignore';

/** The patterns of one file. `base` is the folder they are relative to: '' or ending in a slash. */
export interface Level {
  patterns: Ignore;
  base: string;
  /** Completes the sentence "left out because it is ...". */
  reason: string;
}

/** Never worth reading and not always in .gitignore. Every other file of patterns can bring them back. */
const INSTALLED = ['node_modules/', 'bower_components/', '.venv/', '__pycache__/'];

const OPTIONS = { ignoreCase: process.platform !== 'linux', allowRelativePaths: true };

/** Patterns in .gitignore's syntax. */
export function patternsOf(text: string | readonly string[]): Ignore {
  return ignore(OPTIONS).add(text);
}

/**
 * The verdict of levels (the weakest first) on a path that ends in a slash when it is a folder: the reason to leave
 * it out, or undefined. Folders above it must have been asked about before.
 */
export function ignoredBy(levels: readonly Level[], path: string): string | undefined {
  let reason: string | undefined;
  for (const level of levels) {
    const { ignored, unignored } = level.patterns.test(path.slice(level.base.length));
    if (ignored) reason = level.reason;
    else if (unignored) reason = undefined;
  }
  return reason;
}

/**
 * The levels as they hold inside a folder that is read. Where a stronger level has brought back a folder that this
 * one ignores, its remaining patterns apply to what is inside, as if they stood there.
 */
export function levelsInside(levels: readonly Level[], folder: string): Level[] {
  return levels.map((level) => {
    const overruled =
      folder.length > level.base.length && level.patterns.test(folder.slice(level.base.length)).ignored;
    return overruled ? { ...level, base: folder } : level;
  });
}

/** The levels of git's and of our own ignore files; ours are stronger. */
export interface IgnoreState {
  git: Level[];
  own: Level[];
}

/** Where the patterns of the folders above the root come from, and the root's place below them: '' or ending in a slash. */
export interface Surroundings extends IgnoreState {
  prefix: string;
}

/** Reads everything that is in force in `root` before its own files: git's global and per-clone excludes, and those of the folders above. */
export async function readSurroundings(root: string): Promise<Surroundings> {
  const top = gitTop(root) ?? root;
  const prefix = relative(top, root)
    .split(sep)
    .map((part) => part && `${part}/`)
    .join('');
  const builtIn = { patterns: patternsOf(INSTALLED), base: '', reason: 'installed packages or caches' };
  const global = await levelFrom(await globalExcludes(root), '', "ignored by git's global excludes");
  const clone = await levelFrom(
    join(await gitCommonDirectory(top), 'info', 'exclude'),
    '',
    'ignored by .git/info/exclude',
  );
  const state: IgnoreState = { git: [builtIn, ...global, ...clone], own: [] };

  for (let base = ''; base !== prefix; base = prefix.slice(0, prefix.indexOf('/', base.length) + 1)) {
    await addIgnoreFiles(state, join(top, base), base, ['.gitignore', '.repowaveignore']);
  }
  // Who asks for an ignored folder means it.
  return { prefix, git: levelsInside(state.git, prefix), own: levelsInside(state.own, prefix) };
}

/** Adds the patterns of those ignore files of one folder that are among `names`. */
export async function addIgnoreFiles(
  state: IgnoreState,
  directory: string,
  base: string,
  names: readonly string[],
): Promise<void> {
  for (const [file, levels] of [
    ['.gitignore', state.git],
    ['.repowaveignore', state.own],
  ] as const) {
    if (names.includes(file))
      levels.push(...(await levelFrom(join(directory, file), base, `ignored by ${base}${file}`)));
  }
}

/** The paths that a .gitattributes file marks as linguist-generated. */
export async function generatedLevel(directory: string, base: string): Promise<Level[]> {
  const text = await readFile(join(directory, '.gitattributes'), 'utf8').catch(() => '');
  const patterns = text.split('\n').flatMap((line) => {
    const match = /^\s*("(?:[^"\\]|\\.)*"|[^\s#"]\S*)\s+(.*)/.exec(line);
    const attribute = match && /(?:^|\s)(-?)linguist-generated(?:=(\w+))?(?:\s|$)/.exec(match[2]!);
    if (!attribute) return [];
    const pattern = match[1]!.startsWith('"') ? match[1]!.slice(1, -1) : match[1]!;
    return [(attribute[1] === '-' || attribute[2] === 'false' ? '!' : '') + pattern];
  });
  if (patterns.length === 0) return [];
  return [{ patterns: patternsOf(patterns), base, reason: 'generated: marked in .gitattributes' }];
}

/** No level at all where the file is missing, unreadable or has no pattern. */
async function levelFrom(file: string, base: string, reason: string): Promise<Level[]> {
  const text = await readFile(file, 'utf8').catch(() => '');
  return /^\s*[^\s#]/m.test(text)
    ? [{ patterns: patternsOf(text.replace(/^\uFEFF/, '')), base, reason }]
    : [];
}

function gitTop(root: string): string | undefined {
  for (let folder = root; ; folder = dirname(folder)) {
    if (existsSync(join(folder, '.git'))) return folder;
    if (folder === dirname(folder)) return undefined;
  }
}

/** .git is a folder, or in worktrees and submodules a file that names one, whose `commondir` names the shared one. */
async function gitCommonDirectory(top: string): Promise<string> {
  const dotGit = join(top, '.git');
  const pointer = /^gitdir: (.*)/.exec(await readFile(dotGit, 'utf8').catch(() => ''));
  if (!pointer) return dotGit;
  const own = resolve(top, pointer[1]!);
  const common = await readFile(join(own, 'commondir'), 'utf8').catch(() => '.');
  return resolve(own, common.trim());
}

async function globalExcludes(root: string): Promise<string> {
  const fallback = join(process.env.XDG_CONFIG_HOME || join(homedir(), '.config'), 'git', 'ignore');
  const command = ['config', '--type=path', '--get', 'core.excludesFile'];
  // Fails where it is not set, and where there is no git.
  const configured = await promisify(execFile)('git', command, { cwd: root }).catch(() => undefined);
  return configured?.stdout.trim() || fallback;
}
