/** Splits a long file where its structure allows it. */
import type { Piece, Segment, Tokenize } from './segment.ts';
import { build, piecesOf } from './segment.ts';

const NEWLINE = 0x0a;

/** Splits a segment of one source into segments of at most `longest` tokens, each with its own header. */
export async function splitSource(
  segment: Segment,
  longest: number,
  tokenize: Tokenize,
  budget = longest,
): Promise<Segment[]> {
  const source = segment.sources[0]!;
  const bytes = Buffer.from(segment.text).subarray(source.start, source.end);
  const headerTokens = countUpTo(segment.ends, source.start);
  const ends = segment.ends.subarray(headerTokens).map((end) => Math.max(end - source.start, 0));
  // The least that gets anywhere, however long the header is.
  const room = Math.max(budget - headerTokens - SEPARATOR_TOKENS, 1);

  const segments: Segment[] = [];
  for (const piece of cut(piecesOf(segment)[0]!, bytes, ends, room)) {
    const part = await build([piece], tokenize);
    if (part.tokens.length <= longest || piece.content.length < 2 || room === 1) segments.push(part);
    else segments.push(...(await splitSource(part, longest, tokenize, Math.floor(budget / 2))));
  }
  return segments;
}

/** What the blank lines after a part cost, and tokens that merge differently at its ends. */
const SEPARATOR_TOKENS = 8;

function* cut({ path, startLine }: Piece, bytes: Buffer, ends: Uint32Array, room: number): Generator<Piece> {
  const lines = lineStarts(bytes);
  let line = 0;
  for (let start = 0; start < bytes.length;) {
    const end = cutAfter(start, bytes, lines, ends, room);
    while (line + 1 < lines.length && lines[line + 1]!.offset <= start) line++;
    yield { path, startLine: startLine + line, content: bytes.toString('utf8', start, end) };
    start = end;
  }
}

/** Where the part that starts at `start` ends: at the best line in the second half of what there is room for. */
function cutAfter(start: number, bytes: Buffer, lines: Line[], ends: Uint32Array, room: number): number {
  const first = countUpTo(ends, start);
  if (ends.length - first <= room) return bytes.length;
  const limit = Math.min(ends[first + room - 1]!, bytes.length);
  const half = ends[first + Math.floor(room / 2)]!;

  let best: Line | undefined;
  for (
    let index = firstLineAfter(lines, start);
    index < lines.length && lines[index]!.offset <= limit;
    index++
  ) {
    const line = lines[index]!;
    if (!best || best.offset <= half || line.rank <= best.rank) best = line;
  }
  return best?.offset ?? characterBoundary(bytes, start, limit);
}

interface Line {
  offset: number;
  /** How well the file may be cut before this line: 0 is a declaration after a gap, then by indentation. */
  rank: number;
}

const BLANK = 1_000;
const CLOSING = /^(?:[\])}]|end\b|fi\b|done\b|esac\b|<\/)/;

function lineStarts(bytes: Buffer): Line[] {
  const lines: Line[] = [];
  let previous = '';
  for (let offset = 0; offset < bytes.length;) {
    const newline = bytes.indexOf(NEWLINE, offset);
    const next = newline < 0 ? bytes.length : newline + 1;
    const text = bytes.toString('utf8', offset, Math.min(next, offset + 200)).replace(/\n$/, '');
    lines.push({ offset, rank: rankOf(text, previous) });
    previous = text;
    offset = next;
  }
  return lines;
}

function rankOf(text: string, previous: string): number {
  if (text.trim() === '') return BLANK;
  const indentation = text.search(/\S/);
  const closing = CLOSING.test(text.trimStart());
  const afterGap = previous.trim() === '' || (CLOSING.test(previous) && indentation === 0);
  if (indentation === 0 && !closing && afterGap) return 0;
  return 1 + 2 * indentation + (closing ? 1 : 0);
}

function firstLineAfter(lines: Line[], offset: number): number {
  return lowerBound(lines.length, (index) => lines[index]!.offset > offset);
}

/** How many tokens end at `offset` or before. */
function countUpTo(ends: Uint32Array, offset: number): number {
  return lowerBound(ends.length, (index) => ends[index]! > offset);
}

/** The least index of `length` for which the predicate, once true always true, holds. */
function lowerBound(length: number, holds: (index: number) => boolean): number {
  let low = 0;
  let high = length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (holds(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** The last start of a character in (start, limit], or the end of the first one: tokens may end within a character. */
function characterBoundary(bytes: Buffer, start: number, limit: number): number {
  const isStart = (offset: number) => offset >= bytes.length || (bytes[offset]! & 0xc0) !== 0x80;
  let end = limit;
  while (end > start && !isStart(end)) end--;
  if (end > start) return end;
  end = start + 1;
  while (!isStart(end)) end++;
  return end;
}
