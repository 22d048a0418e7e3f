/** In which order a repository is read, and how much of it before an answer. Pure. */
import type { ImportGraph } from '../repo/imports.ts';
import type { LineMap } from '../repo/lines.ts';
import type { AskParams } from '../protocol.ts';

/** Segments that a question's words bring forward. */
const mostFound = 16;
/** Files count as recently changed for so long, … */
const recentMs = 14 * 24 * 3_600_000;
/** … and so many of them: after a clone, all are new. */
const mostRecent = 64;

/** A question waits for everything when that is no more than so many tokens; … */
const wholeTokens = 65_536;
/** … else only for the first ones in the order of reading. */
const firstTokens = 16_384;

export interface OrderInput {
  segments: readonly { lines: LineMap }[];
  /** Segments that the user wants to be looked at. */
  pinned: readonly number[];
  /** Segments that share words with the question, best first. */
  found: readonly number[];
  /** Files that the user works on, the most important first. */
  focus: readonly string[];
  imports: ImportGraph;
  /** By file. */
  modifiedMs: ReadonlyMap<string, number>;
  /** Up to when the last question has seen changes. */
  askedMs: number | undefined;
  nowMs: number;
}

/** All segments, in the order in which a user profits from them. */
export function readingOrder(input: OrderInput): number[] {
  const { segments, pinned, found, focus, imports, modifiedMs, askedMs, nowMs } = input;
  const holders = holdersOf(segments);
  const of = (paths: readonly string[]) => paths.flatMap((path) => holders.get(path) ?? []);
  const newestFirst = [...modifiedMs].sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1));
  const modifiedAfter = (ms: number) =>
    newestFirst.filter(([, modified]) => modified > ms).map(([path]) => path);
  return [
    ...new Set([
      ...pinned,
      ...of(askedMs === undefined ? [] : modifiedAfter(askedMs)),
      ...found.slice(0, mostFound),
      ...of(focus),
      ...of(focus.flatMap((path) => imports[path] ?? [])),
      ...[...segments.keys()].filter((id) => segments[id]!.lines.sources.length === 0),
      ...of(modifiedAfter(nowMs - recentMs).slice(0, mostRecent)),
      ...segments.keys(),
    ]),
  ];
}

function holdersOf(segments: OrderInput['segments']): Map<string, number[]> {
  const holders = new Map<string, number[]>();
  segments.forEach(({ lines }, id) => {
    for (const { path } of lines.sources) {
      const held = holders.get(path);
      if (held) held.push(id);
      else holders.set(path, [id]);
    }
  });
  return holders;
}

export interface Missing {
  id: number;
  tokens: number;
}

/**
 * What to read before an answer, of what is missing in the order of reading.
 * @param required segments that are read in any case, beside what the question gets
 * @param isEmpty whether nothing has been read yet: something must be
 */
export function readFirst(
  missing: readonly Missing[],
  wait: NonNullable<AskParams['wait']>,
  { required, isEmpty }: { required: ReadonlySet<number>; isEmpty: boolean },
): number[] {
  const ids = missing.map(({ id }) => id);
  const total = missing.reduce((sum, { tokens }) => sum + tokens, 0);
  if (wait === 'all' || (wait === 'auto' && total <= wholeTokens)) return ids;
  let left = wait === 'auto' ? firstTokens : 0;
  const chosen = missing.filter(({ id, tokens }) => required.has(id) || (left -= tokens) >= 0);
  if (chosen.length === 0 && isEmpty) return ids.slice(0, 1);
  return chosen.map(({ id }) => id);
}
