/** What a question names, and whether it asks for the files themselves. */

/**
 * `code`, "quoted", 'quoted', paths and identifiers with a digit, underscore, dot or capital inside. A path or compound
 * is looked for where a word begins only: at every letter, one long word would take quadratic time.
 */
const patterns = [
  /`([^`\n]+)`/gu,
  /["“]([^"“”\n]+)["”]/gu,
  /(?<![\p{L}\p{N}])'([^'\n]+)'(?![\p{L}\p{N}])/gu,
  /(?<![\w@.-])((?:[\w@.-]+\/)+[\w@.-]+)/gu,
  /(?<![\p{L}\p{N}_$])([\p{L}_$][\p{L}\p{N}_$]*(?:[.:#-]+[\p{L}_$][\p{L}\p{N}_$]*)+)/gu,
  /([\p{L}_$][\p{L}\p{N}_$]*)/gu,
];

const marked = /[\p{N}_$./]|\p{Ll}\p{Lu}|\p{Lu}{2}\p{Ll}/u;
const listing =
  /\b(?:which|what|list|all|how many)\b[^.?!]{0,200}\b(?:files|folders|directories)\b(?:\s+(?:are|is|exist|do|does|in|of)\b|\s*[.?!]?$)/iu;
const oneFile =
  /\b(?:which|what)\s+(?:[\p{L}-]+\s+)?(?:file|module)\b|\bwhere\s+(?:is|are|does|do|in the)\b[^.?!]{0,200}\b(?:defined|declared|implemented|set|live|code)\b/iu;

/**
 * The distinct names in a question, in order. Words in backticks or quotes always count, others by their looks:
 * `readFile`, `MAX_SIZE`, `x2`, `fs.open`, `src/a.ts`.
 */
export function namesIn(question: string): string[] {
  const found: { name: string; position: number }[] = [];
  let rest = question;
  patterns.forEach((pattern, i) => {
    const quoted = i < 3;
    rest = rest.replace(pattern, (whole, name: string, position: number) => {
      const bare = name.replace(/(?<![.,:;])[.,:;]+$/u, '');
      if (!quoted && !marked.test(bare)) return whole;
      found.push({ name: bare, position });
      return ' '.repeat(whole.length);
    });
  });
  found.sort((a, b) => a.position - b.position);
  return [...new Set(found.map(({ name }) => name))];
}

/** What a name is set to in a text, outside of comments: in `LIMIT = config.MOST;` it is `config.MOST`. */
export function valueOf(name: string, text: string): string | undefined {
  const literal = name.replace(/[$.*+?^{}()|[\]\\]/g, '\\$&');
  // The type behind a colon ends where another parameter or statement begins. The bounds keep this in linear time.
  const type = '(?::[^=,;(){}\\n]{0,200})?';
  const setting = new RegExp(`(?<![\\p{L}\\p{N}_$.])${literal}\\s{0,200}${type}:?=(?![=>])\\s*(.*)$`, 'gmu');
  for (const { index, 1: rest = '' } of text.matchAll(setting)) {
    const value = isInComment(text, index) ? '' : withoutEnd(rest);
    if (value !== '') return value;
  }
  return undefined;
}

/** Judged without knowing the language: rather too often, since a setting that is missed tells nothing wrong. */
function isInComment(text: string, index: number): boolean {
  const before = text.slice(text.lastIndexOf('\n', index) + 1, index);
  if (/(?:^|\s)(?:\/\/|#|--)|^\s*\*\s/u.test(before)) return true;
  const open = text.lastIndexOf('/*', index);
  return open > text.lastIndexOf('*/', index) && /^\s?$/u.test(text.slice(Math.max(0, open - 1), open));
}

/** The rest of a line without its comment, and without the mark that ends a statement. */
function withoutEnd(rest: string): string {
  // In Python `//` divides: one operand behind it is taken for that.
  const comment = rest.search(/#|\/\/(?!\s*[\w.]+\s*$)|\/\*/u);
  const code = comment < 0 ? rest : rest.slice(0, comment);
  return code.trimEnd().replace(/[;,]$/u, '').trimEnd();
}

/** Whether a value is but another name: no number, call or ordinary word. */
export function isName(value: string): boolean {
  return /^[\p{L}_$][\p{L}\p{N}_$.:]*$/u.test(value) && marked.test(value);
}

/** Whether the answer is the list of files, not what is in them. */
export function asksForFiles(question: string): boolean {
  return listing.test(question.trim());
}

/** Whether the answer is the one file in which something is. */
export function asksForOneFile(question: string): boolean {
  return oneFile.test(question);
}
