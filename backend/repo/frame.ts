/** Chooses the warm-up: the code that every segment of a repository is read behind. */
import type { Tokenize } from './segment.ts';
import { headerOf } from './segment.ts';

/** Tokens of a whole warm-up, from so many files where they are long enough. */
export const WARMUP_TOKENS = 1_000;
const WARMUP_FILES = 2;
/** Bytes: below, a file is mostly imports. */
const TINY = 1_500;
/** UTF-16 units: more than the tokens wanted can be made of in any language. */
const READ_AT_MOST = 16_384;

const CODE =
  /\.(?:[cm]?[jt]sx?|py|pyx|go|rs|java|kts?|scala|cs|fs|vb|c|h|cc|cpp|cxx|hpp|hh|m|mm|swift|rb|php|pl|pm|lua|r|jl|hs|ml|clj|exs?|erl|dart|zig|nim|d|vue|svelte|cu)$/i;
const TEST_OR_SAMPLE =
  /(?:^|\/)(?:\.[^/]+|tests?|__tests__|__mocks__|specs?|e2e|fixtures?|testdata|mocks?|examples?|samples?|docs?|bench(?:marks)?|vendor|third_party)\/|(?:^|\/)test_[^/]*$|[._-](?:test|spec|stories|mock)s?\.[^/]*$/i;
const CONFIGURATION =
  /(?:^|\/)(?:setup\.py|conftest\.py|manage\.py|[^/]*\.config\.[^/]*|\.[^/]*|[^/]*rc\.[cm]?js|gulpfile[^/]*|gruntfile[^/]*|[^/]*\.d\.[cm]?ts)$/i;

export interface Warmup {
  text: string;
  /** The files that it is taken from. */
  paths: string[];
}

/**
 * About `limit` tokens of ordinary code in the form of a segment's text; of any text where there is no code; '' where
 * there is no text. The same files, in path order, give the same warm-up.
 */
export async function chooseWarmup(
  files: readonly { path: string; bytes: number }[],
  readText: (path: string) => Promise<string>,
  tokenize: Tokenize,
  limit = WARMUP_TOKENS,
): Promise<Warmup> {
  const ordinary = files.filter(({ path, bytes }) => isOrdinaryCode(path) && bytes >= TINY);
  const code = files.filter(({ path }) => CODE.test(path));
  const candidates = [ordinary, code, files].find(({ length }) => length > 0) ?? [];

  const warmup: Warmup = { text: '', paths: [] };
  let left = limit;
  for (const [index, { path }] of candidates.entries()) {
    const share = index + 1 < WARMUP_FILES ? Math.floor(left / 2) : left;
    const text = `${headerOf(path)}${wholeLines(await readText(path))}\n\n`;
    const { text: piece, tokens } = await head(text, share, tokenize);
    if (tokens > 0) warmup.paths.push(path);
    warmup.text += piece;
    left -= tokens;
    if (left < limit / 10) break;
  }
  return warmup;
}

function isOrdinaryCode(path: string): boolean {
  return CODE.test(path) && !TEST_OR_SAMPLE.test(path) && !CONFIGURATION.test(path);
}

/** The start of a text, cut at the end of a line when it is longer than can matter. */
function wholeLines(text: string): string {
  return text.length <= READ_AT_MOST ? text : text.slice(0, text.lastIndexOf('\n', READ_AT_MOST) + 1);
}

/** As many whole lines of the text as fit into `limit` tokens, ending in a blank line; nothing when none fits. */
async function head(
  text: string,
  limit: number,
  tokenize: Tokenize,
): Promise<{ text: string; tokens: number }> {
  const { ends } = await tokenize(text);
  if (ends.length <= limit) return { text, tokens: ends.length };
  const bytes = Buffer.from(text);
  const newline = bytes.lastIndexOf('\n', ends[limit - 1]! - 1);
  const headerEnd = bytes.indexOf('\n');
  if (newline <= headerEnd) return { text: '', tokens: 0 };
  return { text: `${bytes.toString('utf8', 0, newline)}\n\n`, tokens: limit };
}
