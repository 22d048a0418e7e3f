/** Turns a documentation comment into a description that a person could ask by: no identifiers, one sentence. */

const linked = /\{@link[^}]*\}|:[\w:]+:`[^`]*`|`+[^`]+`+/g;
const codeLike = /[`{}<>_=|\\/[\]]|[a-z][A-Z]|\w\(|\w\.\w|::|https?:|^\s*[-*#]/;
const notAbout =
  /\b(?:deprecated|internal|copyright|licen[cs]e|todo|fixme|eslint|hack|see|note|example|this (?:file|class|function|method)|for backwards)\b/i;
const unfinished = /\b(?:using|from|by|with|to|of|for|in|on|as|the|an?|and|or|than|via)$/i;
const fewestWords = 8;
const mostWords = 36;

/** The first sentence of a comment, without what only code calls by name; undefined where no such sentence is left. */
export function describe(comment: string): string | undefined {
  const lines = comment.split('\n').map((line) => line.replace(/^\s*\*? ?/, '').trim());
  const start = lines.findIndex((line) => line !== '');
  const rest = lines.slice(Math.max(start, 0));
  const end = rest.findIndex((line) => line === '' || line.startsWith('@') || line.startsWith(':'));
  const paragraph = (end < 0 ? rest : rest.slice(0, end)).join(' ').replace(/\s+/g, ' ');
  const sentence = /^.*?[.!?](?=\s|$)/.exec(paragraph)?.[0] ?? paragraph;
  // Two names make a sentence about names.
  if ((sentence.match(linked)?.length ?? 0) > 1) return undefined;
  const plain = withoutNames(sentence);
  const words = plain.split(' ').length;
  const unusable = [codeLike, notAbout, unfinished].some((pattern) => pattern.test(plain));
  return unusable || words < fewestWords || words > mostWords ? undefined : plain;
}

/** A name between an article and its noun can go ("the `x` option"), so can one in brackets; others stay. */
function withoutNames(sentence: string): string {
  const names = linked.source;
  return (
    sentence
      .replace(/[.!?:]+$/, '')
      .replace(/ ?\([^()]*\)/g, '')
      .replace(new RegExp(`\\b(an?|the|given|this) (?:${names}) (?=[a-z])`, 'gi'), '$1 ')
      // Classes are written with a capital: as a word of the language they stay.
      .replace(/(?<=[a-z,] )[A-Z][a-z]+/g, (word) => word.toLowerCase())
      .trim()
  );
}
