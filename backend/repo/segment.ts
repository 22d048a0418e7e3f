/** What a segment is, and the form in which files stand in its text. */
import type { Tokenized } from '../engine/native.ts';

/** A run of lines of one file within a segment's text. All offsets are bytes of UTF-8. */
export interface SegmentSource {
  path: string;
  /** The line of the file, from 1, in which the content starts. */
  startLine: number;
  /** Where the source's header starts in the segment's text. */
  header: number;
  /** Where its content starts and ends. */
  start: number;
  end: number;
}

/** `tokens` and `ends` are those of `text`. Text before the first source is no file's: the list of all paths. */
export interface Segment extends Tokenized {
  text: string;
  sources: SegmentSource[];
}

export type Tokenize = (text: string) => Promise<Tokenized>;

/** A part of a file that goes into a segment as it stands. */
export interface Piece {
  path: string;
  startLine: number;
  content: string;
}

/** How a file is announced in a segment. Names with control characters are quoted, for a header is one line. */
export function headerOf(path: string): string {
  return `// file: ${displayed(path)}\n`;
}

/** Puts pieces after one another, with `preamble` before them. */
export async function build(pieces: readonly Piece[], tokenize: Tokenize, preamble = ''): Promise<Segment> {
  const sources: SegmentSource[] = [];
  let text = preamble;
  let header = Buffer.byteLength(preamble);
  for (const { path, startLine, content } of pieces) {
    const start = header + Buffer.byteLength(headerOf(path));
    const end = start + Buffer.byteLength(content);
    sources.push({ path, startLine, header, start, end });
    text += `${headerOf(path)}${content}\n\n`;
    header = end + 2;
  }
  return { text, sources, ...(await tokenize(text)) };
}

/** What {@link build} made a segment of. */
export function piecesOf({ text, sources }: Pick<Segment, 'text' | 'sources'>): Piece[] {
  const bytes = Buffer.from(text);
  return sources.map(({ path, startLine, start, end }) => ({
    path,
    startLine,
    content: bytes.toString('utf8', start, end),
  }));
}

/** A path as it is written in a segment: one line. */
export function displayed(path: string): string {
  return /[\x00-\x1f\x7f]/.test(path) ? JSON.stringify(path) : path;
}
