/** What planting needs to know about a language: its functions, its comments, its constants. */

export interface Language {
  /** Name of the language in a Markdown fence. */
  fence: string;
  /** A function's definition; the first group is its name. */
  functions: RegExp;
  /** What a function ends with, or what stands before the code behind it. */
  end: RegExp;
  /** A comment about a file, function or class; the first group is its text. */
  docs?: RegExp;
  constant: (name: string, value: string) => string;
  register: (call: string) => string;
}

const jsDoc =
  /^\/\*\*((?:(?!\*\/)[^])*)\*\/\n(?=(?:export|abstract|async|class|function|const|interface|type|enum)\b)/gm;
const doxygen = /^\/\*\*((?:(?!\*\/)[^])*)\*\/\n(?=\S)/gm;
const comment = (call: string) => `// ${call};`;

const script: Language = {
  fence: 'ts',
  functions: /^(?:export )?(?:default )?(?:async )?function\*? (\w+)/dgm,
  end: /\n\}/,
  docs: jsDoc,
  constant: (name, value) => `const ${name} = ${value};`,
  register: (call) => `${call};`,
};

const languages: Record<string, Language> = {
  ts: script,
  js: { ...script, fence: 'js' },
  py: {
    fence: 'python',
    functions: /^(?:async )?def (\w+)/dgm,
    end: /\n(?=[^\s)])/,
    docs: /(?:^|(?<=:\n))[ ]*r?"""((?:(?!""")[^])*)"""\n/g,
    constant: (name, value) => `${name} = ${value}`,
    register: (call) => call,
  },
  go: {
    fence: 'go',
    functions: /^func (?:\([^)]*\) )?(\w+)/dgm,
    end: /\n\}/,
    constant: (name, value) => `const ${name} = ${value}`,
    register: comment,
  },
  rs: {
    fence: 'rust',
    functions: /^(?:pub(?:\([^)]*\))? )?(?:const )?(?:async )?(?:unsafe )?fn (\w+)/dgm,
    end: /\n\}/,
    constant: (name, value) => `const ${name}: u32 = ${value};`,
    register: comment,
  },
  c: {
    fence: 'cpp',
    functions: /^(?!\s)[A-Za-z_][\w:<> *&]*?[ *&](\w+)\([^;{}]*\)[^;{}]*\{$/dgm,
    end: /\n\}/,
    docs: doxygen,
    constant: (name, value) => `static const int ${name} = ${value};`,
    register: comment,
  },
  java: {
    fence: 'java',
    functions: /^ {4}(?:(?:public|private|protected|static|final|synchronized) )+[\w<>[\], ?]+ (\w+)\(/dgm,
    end: /\n {4}\}/,
    docs: doxygen,
    constant: (name, value) => `// static final int ${name} = ${value};`,
    register: comment,
  },
};

const endings: Record<string, string> = {
  ...{ ts: 'ts', tsx: 'ts', mts: 'ts', cts: 'ts', js: 'js', jsx: 'js', mjs: 'js', cjs: 'js' },
  ...{ py: 'py', go: 'go', rs: 'rs', java: 'java' },
  ...{ c: 'c', h: 'c', cc: 'c', cpp: 'c', cxx: 'c', hpp: 'c', hh: 'c' },
};

/** The language of a path by its ending; undefined for others, and for TypeScript that only declares. */
export function languageOf(path: string): Language | undefined {
  if (/\.d\.[cm]?ts$/.test(path)) return undefined;
  return languages[endings[path.slice(path.lastIndexOf('.') + 1).toLowerCase()] ?? ''];
}
