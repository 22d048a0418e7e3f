/** The map between a segment's tokens and the lines of its files. It is kept as JSON beside the stored segment. */
import type { Segment } from './segment.ts';

export interface LineMap {
  /** Tokens before the first source. */
  lead: number;
  sources: SourceLines[];
}

export interface SourceLines {
  path: string;
  /** The line of the file, from 1, that `lines[0]` is about. */
  startLine: number;
  /** All tokens of the source: those of its header, of its lines, and of the blank lines after it. */
  tokens: number;
  header: number;
  /** How many tokens start in each line. */
  lines: number[];
}

/** A place, or a file's header or the blank lines behind it when `line` is null. */
export interface TokenPlace {
  path: string;
  line: number | null;
}

export interface LineMass extends TokenPlace {
  mass: number;
}

const NEWLINE = 0x0a;

/** A token belongs to the line in which its first byte stands. */
export function lineMapOf({ text, sources, ends }: Segment): LineMap {
  const bytes = Buffer.from(text);
  let token = 0;
  /** How many tokens from here on start before `offset`. */
  const advance = (offset: number) => {
    const from = token;
    while (token < ends.length && (token === 0 ? 0 : ends[token - 1]!) < offset) token++;
    return token - from;
  };
  const lead = advance(sources[0]?.header ?? bytes.length);
  const mapped = sources.map(({ path, startLine, start, end }, index) => {
    const header = advance(start);
    const lines: number[] = [];
    for (let offset = start; offset < end;) {
      const newline = bytes.indexOf(NEWLINE, offset);
      offset = newline < 0 || newline >= end ? end : newline + 1;
      lines.push(advance(offset));
    }
    const inLines = lines.reduce((sum, count) => sum + count, 0);
    const trailing = advance(sources[index + 1]?.header ?? bytes.length);
    return { path, startLine, tokens: header + inLines + trailing, header, lines };
  });
  return { lead, sources: mapped };
}

/** Where a token stands; undefined outside of all sources, as in the list of paths. */
export function placeOf(map: LineMap, token: number): TokenPlace | undefined {
  let rest = token - map.lead;
  const source = rest < 0 ? undefined : map.sources.find(({ tokens }) => (rest -= tokens) < 0);
  if (!source) return undefined;
  rest += source.tokens - source.header;
  const index = rest < 0 ? -1 : source.lines.findIndex((count) => (rest -= count) < 0);
  return { path: source.path, line: index < 0 ? null : source.startLine + index };
}

/**
 * Sums what is known per token (attention mass) up to lines, in the order of the text, leaving out what is 0.
 * Mass outside of all sources is dropped, that of headers and blank lines between files has no line.
 */
export function massPerLine(map: LineMap, mass: Float32Array): LineMass[] {
  const result: LineMass[] = [];
  let token = map.lead;
  const take = (count: number) => {
    let total = 0;
    for (const end = token + count; token < end; token++) total += mass[token]!;
    return total;
  };
  for (const { path, startLine, tokens, header, lines } of map.sources) {
    const end = token + tokens;
    let outside = take(header);
    lines.forEach((count, index) => {
      const total = take(count);
      if (total > 0) result.push({ path, line: startLine + index, mass: total });
    });
    outside += take(end - token);
    if (outside > 0) result.push({ path, line: null, mass: outside });
  }
  return result;
}
