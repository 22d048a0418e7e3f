/** Where a segment's text comes from, so that it need not be kept: it is put together again when its turn comes. */
import { build, piecesOf, type Segment, type Tokenize } from '../repo/segment.ts';
import type { LineMap } from '../repo/lines.ts';

export interface Origin {
  /** The text before the first source: the list of files, or ''. */
  preamble: string;
  /** Per source, the bytes of the file's text that are its content. */
  ranges: [start: number, end: number][];
}

/** The origins of all segments of a packing, in its order: in it, the parts of a file follow one another. */
export function originsOf(packed: readonly Segment[]): Origin[] {
  const ends = new Map<string, number>();
  return packed.map(({ text, sources }) => ({
    preamble: Buffer.from(text).toString('utf8', 0, sources[0]?.header),
    ranges: sources.map(({ path, start, end }) => {
      const from = ends.get(path) ?? 0;
      ends.set(path, from + end - start);
      return [from, from + end - start];
    }),
  }));
}

/** The segment once more. */
export async function rebuild(
  { sources }: LineMap,
  { preamble, ranges }: Origin,
  readText: (path: string) => Promise<string>,
  tokenize: Tokenize,
): Promise<Segment> {
  const pieces = [];
  for (const [i, { path, startLine }] of sources.entries()) {
    const content = Buffer.from(await readText(path)).toString('utf8', ...ranges[i]!);
    pieces.push({ path, startLine, content });
  }
  return build(pieces, tokenize, preamble);
}

/** Per source, the indexes of its lines that hold no word. */
export function blankLinesOf(segment: Segment): number[][] {
  return piecesOf(segment).map(({ content }) =>
    content.split('\n').flatMap((line, index) => (/[\p{L}\p{N}]/u.test(line) ? [] : [index])),
  );
}
