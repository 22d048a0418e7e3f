/** What to leave out of a repository that does not fit: what questions miss least comes first. Pure. */
import type { PlannedFile, Saving } from '../protocol.ts';

type Kind = Exclude<Saving['why'], 'large'>;

/** Names of folders, and endings of files, from what matters least to what matters most. */
const KINDS: [why: Kind, folders: RegExp, files: RegExp][] = [
  ['vendored', /^(vendor|vendored|third[_-]?party|externals?|bower_components)$/i, /^\b$/],
  [
    'data',
    /^(fixtures?|testdata|test-data|__snapshots__|snapshots?|datasets?|goldens?)$/i,
    /\.(snap|csv|tsv|jsonl|svg|geojson)$/i,
  ],
  ['translations', /^(locales?|i18n|l10n|translations?)$/i, /\.(po|pot|xlf|xliff)$/i],
  ['docs', /^docs?$/i, /\.(rst|adoc)$/i],
  ['examples', /^(examples?|samples?|demos?|benchmarks?)$/i, /^\b$/],
  ['tests', /^(tests?|__tests__|specs?|e2e)$/i, /\.(?:test|spec)\.\w+$|_test\.\w+$/i],
];

type Sized = Pick<PlannedFile, 'file' | 'tokens' | 'pinned'>;
interface Group extends Saving {
  members: Sized[];
}

/** Patterns to leave out, enough for the rest to fit into the budget; what is pinned stays. */
export function savingsFor(files: readonly Sized[], budget: number): Saving[] {
  const total = sum(files);
  const chosen: Group[] = [];
  const gone = new Set<Sized>();
  const left = () => total - sum([...gone]) - budget;
  const take = (group: Group) => {
    chosen.push(group);
    for (const member of group.members) gone.add(member);
  };
  for (const [why, folders, endings] of KINDS) {
    const members = files.filter((file) => !gone.has(file));
    const groups = groupBy(members, why, (path) => patternOf(path, folders, endings));
    for (const group of groups.sort((a, b) => b.tokens - a.tokens)) if (left() > 0) take(group);
  }
  while (left() > 0) {
    const largest = smallestEnough(
      files.filter((file) => !gone.has(file)),
      left(),
    );
    if (!largest) break;
    take(largest);
  }
  return chosen.map(({ pattern, why, files, tokens }) => ({ pattern, why, files, tokens }));
}

/** `tests/` for the outermost folder of such a name, `*.snap` for such an ending. */
function patternOf(path: string, folders: RegExp, endings: RegExp): string | undefined {
  const parts = path.split('/');
  const folder = parts.slice(0, -1).find((part) => folders.test(part));
  if (folder !== undefined) return `${escaped(folder)}/`;
  const ending = endings.exec(parts.at(-1)!)?.[0];
  return ending === undefined ? undefined : `*${escaped(ending)}`;
}

/** Groups without anything pinned. */
function groupBy(
  files: readonly Sized[],
  why: Saving['why'],
  patternOf: (path: string) => string | undefined,
): Group[] {
  const groups = new Map<string, Sized[]>();
  for (const file of files) {
    const pattern = patternOf(file.file);
    if (pattern === undefined) continue;
    const members = groups.get(pattern);
    if (members) members.push(file);
    else groups.set(pattern, [file]);
  }
  return [...groups]
    .filter(([, members]) => !members.some(({ pinned }) => pinned))
    .map(([pattern, members]) => ({ pattern, why, files: members.length, tokens: sum(members), members }));
}

/** The smallest folder or file that saves so many tokens, or the largest when none does. */
function smallestEnough(files: readonly Sized[], tokens: number): Group | undefined {
  const folders = new Map<string, Sized[]>();
  for (const file of files) {
    for (let end = file.file.indexOf('/'); end >= 0; end = file.file.indexOf('/', end + 1)) {
      const folder = file.file.slice(0, end + 1);
      const members = folders.get(folder);
      if (members) members.push(file);
      else folders.set(folder, [file]);
    }
  }
  const groups = [...folders, ...files.map((file): [string, Sized[]] => [file.file, [file]])]
    .filter(([, members]) => members.length < files.length && !members.some(({ pinned }) => pinned))
    .map(([path, members]): Group => {
      const pattern = `/${escaped(path)}`;
      return { pattern, why: 'large', files: members.length, tokens: sum(members), members };
    })
    .sort((a, b) => a.tokens - b.tokens);
  return groups.find((group) => group.tokens >= tokens) ?? groups.at(-1);
}

const sum = (files: readonly Sized[]): number => files.reduce((total, { tokens }) => total + tokens, 0);

/** As a literal in .gitignore's syntax. */
const escaped = (path: string): string => path.replace(/[\\*?[\]!#]/g, '\\$&').replace(/ $/, '\\ ');
