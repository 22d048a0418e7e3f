/** The part of a snapshot that has been read. */
import type { LexicalRanking } from './lexical.ts';
import type { Snapshot } from './snapshot.ts';

/** What an answer needs to know of a snapshot. */
export type Part = Pick<Snapshot, 'frame' | 'segments' | 'lexical' | 'imports'>;

/** The snapshot with these segments alone, in their order; they count from 0 in it. */
export function partOf(snapshot: Part, ids: readonly number[]): Part {
  const { frame, segments, lexical, imports } = snapshot;
  if (ids.length === segments.length) return { frame, segments, lexical, imports };
  const places = new Map(ids.map((id, place) => [id, place]));
  const held = new Set(ids.flatMap((id) => segments[id]!.lines.sources.map(({ path }) => path)));
  const within = (ranking: LexicalRanking): LexicalRanking => ({
    segments: ranking.segments.flatMap((id) => places.get(id) ?? []),
    paths: ranking.paths.filter((path) => held.has(path)),
  });
  return {
    frame,
    segments: ids.map((id) => segments[id]!),
    lexical: {
      rank: (question) => within(lexical.rank(question)),
      holders: (name) => within(lexical.holders(name)),
    },
    imports,
  };
}

/** Files that a question's words point at. */
const mostLikely = 8;

/** Those of the files that the question is most likely about that are not wholly in `ids`, the likeliest first. */
export function missedFiles(
  { segments, lexical }: Pick<Snapshot, 'segments' | 'lexical'>,
  ids: ReadonlySet<number>,
  question: string,
): string[] {
  const unread = new Set(
    segments.flatMap(({ lines }, id) => (ids.has(id) ? [] : lines.sources.map(({ path }) => path))),
  );
  if (unread.size === 0) return [];
  return lexical
    .rank(question)
    .paths.slice(0, mostLikely)
    .filter((path) => unread.has(path));
}
