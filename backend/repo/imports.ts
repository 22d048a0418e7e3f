/** Which files of the repository import which others, as far as their import lines tell. */
import { posix } from 'node:path';

export type ImportGraph = Record<string, string[]>;

interface Language {
  extensions: string[];
  /** Each finds specifiers in its first group. */
  patterns: RegExp[];
  /** What the specifier says about the path, without an ending: `a.b.C` is a/b/C. */
  toPath: (specifier: string) => string;
}

const dotted = (specifier: string) => specifier.replaceAll('.', '/');
const asIs = (specifier: string) => specifier;

const languages: Language[] = [
  {
    extensions: ['js', 'jsx', 'mjs', 'cjs', 'ts', 'tsx', 'mts', 'cts', 'vue', 'svelte'],
    patterns: [
      /\b(?:import|export)\b[^'"`;]*?\bfrom\s*['"]([^'"\n]+)['"]/g,
      /\bimport\s*\(?\s*['"]([^'"\n]+)['"]/g,
      /\brequire\s*\(\s*['"]([^'"\n]+)['"]/g,
    ],
    // Without a dot or an alias before it, it is a package.
    toPath: (specifier) =>
      /^(?:\.{1,2}\/|[@~]?\/|#)/.test(specifier) ? specifier.replace(/^[@~#]?\//, '') : '',
  },
  {
    extensions: ['py', 'pyi'],
    patterns: [/^[ \t]*from[ \t]+([\w.]+)[ \t]+import\b/gm, /^[ \t]*import[ \t]+([\w.]+)/gm],
    toPath: (specifier) => {
      const dots = /^\.*/.exec(specifier)?.[0].length ?? 0;
      const rest = dotted(specifier.slice(dots));
      return dots === 0 ? rest : `${dots === 1 ? './' : '../'.repeat(dots - 1)}${rest}`;
    },
  },
  {
    extensions: ['go'],
    patterns: [/^[ \t]*(?:import[ \t]+)?(?:[\w.]+[ \t]+)?"([\w./-]+)"[ \t]*$/gm],
    toPath: asIs,
  },
  {
    extensions: ['rs'],
    patterns: [/\buse\s+((?:\w+::)*\w+)/g, /^[ \t]*(?:pub(?:\([^)]*\))?[ \t]+)?mod[ \t]+(\w+)[ \t]*;/gm],
    toPath: (specifier) => specifier.replace(/^(?:crate|self|super)::/, '').replaceAll('::', '/'),
  },
  {
    extensions: ['c', 'h', 'cc', 'cpp', 'cxx', 'hpp', 'hh', 'hxx', 'inl', 'cu', 'cuh'],
    patterns: [/^[ \t]*#[ \t]*include[ \t]*[<"]([^>"\n]+)[>"]/gm],
    toPath: asIs,
  },
  {
    extensions: ['java', 'kt', 'kts', 'scala'],
    patterns: [/^[ \t]*import[ \t]+(?:static[ \t]+)?([\w.]+)/gm],
    toPath: dotted,
  },
  {
    extensions: ['cs'],
    patterns: [/^[ \t]*(?:global[ \t]+)?using[ \t]+(?:static[ \t]+)?([\w.]+)[ \t]*;/gm],
    toPath: dotted,
  },
];

const byExtension = new Map(
  languages.flatMap((language) => language.extensions.map((extension) => [extension, language] as const)),
);
/** A file that stands for its folder. */
const folderFile = /\/(?:index|__init__|mod)$/;
/** An ending that a specifier may or may not have. */
const ending = /\.\w+$/;
/** More than that is no hint any more: a package of many files, or a list of everything. */
const mostImports = 32;

/** The graph over these files, of which `targets` says what each imports ({@link importPaths}). */
export function importGraph(files: readonly { path: string; targets: readonly string[] }[]): ImportGraph {
  const resolver = new Resolver(new Set(files.map(({ path }) => path)));
  const graph: ImportGraph = {};
  for (const { path, targets } of files) {
    const found = new Set(targets.flatMap((target) => resolver.resolve(path, target)));
    found.delete(path);
    if (found.size > 0) graph[path] = [...found].slice(0, mostImports);
  }
  return graph;
}

/** What a file imports, as paths: `./x` relative to its folder, others from some root. */
export function importPaths(path: string, text: string): string[] {
  const language = byExtension.get(posix.extname(path).slice(1).toLowerCase());
  if (!language) return [];
  const specifiers = language.patterns.flatMap((pattern) =>
    [...text.matchAll(pattern)].map(([, name = '']) => name),
  );
  return [...new Set(specifiers.map(language.toPath))].filter((target) => target !== '');
}

/** Finds files by the ends of their paths. */
class Resolver {
  /** By the last part of the path without its ending. */
  readonly #byName = new Map<string, string[]>();
  readonly #byFolder = new Map<string, string[]>();

  constructor(private readonly paths: ReadonlySet<string>) {
    for (const path of paths) {
      const stem = stemOf(path);
      push(this.#byName, posix.basename(stem), path);
      push(this.#byFolder, posix.basename(posix.dirname(path)), path);
    }
  }

  resolve(from: string, target: string): string[] {
    const folder = posix.dirname(from);
    if (target.startsWith('.')) return this.#exactly(posix.join(folder, target));
    const beside = this.#exactly(posix.join(folder, target));
    if (beside.length > 0) return beside;
    // The first parts may name what is no folder here (a module, a host), the last ones what is inside a file.
    const parts = target.split('/');
    for (let end = parts.length; end > 0; end--) {
      for (let start = 0; start < end; start++) {
        // One word of a longer name is too little to go by, but for a folder.
        const foldersOnly = end - start === 1 && parts.length > 2;
        const found = this.#endingIn(parts.slice(start, end).join('/'), from, foldersOnly);
        if (found.length > 0) return found;
      }
    }
    return [];
  }

  /** The file of that path, with that ending, any other or none, or that stands for that folder. */
  #exactly(target: string): string[] {
    if (this.paths.has(target)) return [target];
    for (const stem of [target, stemOf(target)]) {
      const named = this.#byName.get(posix.basename(stem)) ?? [];
      const found = named.find((path) => stemOf(path) === stem);
      if (found !== undefined) return [found];
    }
    return [];
  }

  #endingIn(suffix: string, from: string, foldersOnly: boolean): string[] {
    const stem = stemOf(suffix);
    const ends = (path: string) => path === stem || path.endsWith(`/${stem}`);
    const files = (this.#byName.get(posix.basename(stem)) ?? []).filter((path) => ends(stemOf(path)));
    if (files.length > 0 && !foldersOnly) return [nearest(files, from)];
    const inFolder = this.#byFolder.get(posix.basename(suffix)) ?? [];
    return inFolder.filter(
      (path) => ends(posix.dirname(path)) && posix.extname(path) === posix.extname(from),
    );
  }
}

/** Without its ending, and without the name that only stands for the folder. */
function stemOf(path: string): string {
  return path.replace(ending, '').replace(folderFile, '');
}

/** The one that shares the longest beginning with `from`; of several the first. */
function nearest(paths: string[], from: string): string {
  const shared = (path: string) => {
    let length = 0;
    while (length < path.length && path[length] === from[length]) length++;
    return length;
  };
  return paths.reduce((best, path) => (shared(path) > shared(best) ? path : best));
}

function push(map: Map<string, string[]>, key: string, value: string): void {
  const values = map.get(key);
  if (values) values.push(value);
  else map.set(key, [value]);
}
