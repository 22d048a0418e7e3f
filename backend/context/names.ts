/** What a question names, and whether it asks for the files themselves. */

/** `code`, "quoted", 'quoted', paths and identifiers with a digit, underscore, dot or capital inside. */
const patterns = [
  /`([^`\n]+)`/gu,
  /["“]([^"”\n]+)["”]/gu,
  /(?<![\p{L}\p{N}])'([^'\n]+)'(?![\p{L}\p{N}])/gu,
  /((?:[\w@.-]+\/)+[\w@.-]+)/gu,
  /([\p{L}_$][\p{L}\p{N}_$]*(?:[.:#-]+[\p{L}_$][\p{L}\p{N}_$]*)+)/gu,
  /([\p{L}_$][\p{L}\p{N}_$]*)/gu,
];

const marked = /[\p{N}_$./]|\p{Ll}\p{Lu}|\p{Lu}\p{Lu}+\p{Ll}/u;
const listing =
  /\b(?:which|what|list|all|how many)\b[^.?!]*\b(?:files|folders|directories)\b(?:\s+(?:are|is|exist|do|does|in|of)\b|\s*[.?!]?$)/iu;

/**
 * The distinct names in a question, in order. Words in backticks or quotes always count, others by their looks:
 * `readFile`, `MAX_SIZE`, `x2`, `fs.open`, `src/a.ts`.
 */
export function namesIn(question: string): string[] {
  const names: string[] = [];
  let rest = question;
  patterns.forEach((pattern, i) => {
    const quoted = i < 3;
    rest = rest.replace(pattern, (whole, name: string) => {
      const bare = name.replace(/[.,:;]+$/u, '');
      if (!quoted && !marked.test(bare)) return whole;
      names.push(bare);
      return ' ';
    });
  });
  const position = (name: string) => question.indexOf(name);
  return [...new Set(names)].sort((a, b) => position(a) - position(b));
}

/** What a name is set to in a text: in `LIMIT = config.MOST;` it is `config.MOST`. */
export function valueOf(name: string, text: string): string | undefined {
  const literal = name.replace(/[$.*+?^{}()|[\]\\]/g, '\\$&');
  const setting = new RegExp(
    `(?<![\\p{L}\\p{N}_$.])${literal}\\s*(?::[^=\\n]*)?:?=(?![=>])\\s*(.+?)\\s*[;,]?\\s*(?:(?:#|//|/\\*).*)?$`,
    'mu',
  );
  return setting.exec(text)?.[1];
}

/** Whether a value is but another name: no number, call or ordinary word. */
export function isName(value: string): boolean {
  return /^[\p{L}_$][\p{L}\p{N}_$.:]*$/u.test(value) && marked.test(value);
}

/** Whether the answer is the list of files, not what is in them. */
export function asksForFiles(question: string): boolean {
  return listing.test(question.trim());
}
