/**
 * The gate: which segments get full attention. Attention to a whole repository at full weight drowns in similar text,
 * so every question ranks every segment twice, by its words (BM25) and by the model's retrieval heads, and sees the
 * best few closely. Neither all heads' attention nor the index's centroids find the right segment; these two do.
 */
import { asksForFiles, namesIn } from './names.ts';
import type { LexicalRanking } from './lexical.ts';
import type { GateSegment } from '../protocol.ts';

/** Reciprocal ranks are damped by this: how much more the first place counts than the next. */
const damping = 3;
/**
 * Of the ranking by words against the one by heads. A name stands where it stands, and the heads take similar ones for
 * it; a description may share no word with what it describes.
 */
const wordsWeight = { named: 2, unnamed: 1 };
/** Without a name in the question. */
const unnamedWidth = 3;
/** Similar text that is visible too costs more answers than a wider choice brings. */
const mostByDefault = 4;
export const widestGate = 32;

export interface GateChoice {
  segment: number;
  reason: GateSegment['reason'];
  score: number;
}

/** What is known about the segments of a snapshot. All numbers are indexes of segments. */
export interface GateInput {
  question: string;
  lexical: { rank(text: string): LexicalRanking; holders(name: string): LexicalRanking };
  /** Score by the retrieval heads, one per segment; undefined for models without any. */
  heads: Float64Array | undefined;
  /** The parts of the list of files. */
  listing: number[];
  /** Where the names in the question lead, none of it dropped: where each is set, then where what it is set to is. */
  leads: number[];
  pinned: number[];
  dropped: ReadonlySet<number>;
  /** Those that a segment imports or is imported by. */
  neighbours: (segment: number) => number[];
  width: 'auto' | number;
}

/** The chosen segments, best first, pinned ones before all others and not counted. */
export function chooseSegments(input: GateInput): GateChoice[] {
  const { question, lexical, listing, dropped } = input;
  const words = lexical.rank(question).segments;
  const weight = namesIn(question).length > 0 ? wordsWeight.named : wordsWeight.unnamed;
  const fusion = fuse(searches(words, input.heads, weight), new Set([...listing, ...dropped]));
  const scoreOf = (segment: number) => fusion.get(segment)?.score ?? 0;
  const pinned = input.pinned
    .filter((segment) => !dropped.has(segment))
    .map((segment): GateChoice => ({ segment, reason: 'pinned', score: scoreOf(segment) }));

  const names = namesIn(question)
    .map((name) => lexical.holders(name).segments.filter((segment) => fusion.has(segment)))
    .filter((holders) => holders.length > 0);
  const leads = input.leads.map(
    (segment) => ({ segment, reason: 'words', score: scoreOf(segment) }) as const,
  );
  const asked = [...leads, ...bestFor(names, fusion, input.heads)];
  const distinct = leads.length > 0 ? new Set(asked.map(({ segment }) => segment)).size : names.length;
  const width = input.width === 'auto' ? Math.min(distinct || unnamedWidth, mostByDefault) : input.width;
  const wanted: GateChoice[] = asksForFiles(question)
    ? asListing(listing)
    : [...asked, ...companions(input, words, fusion)];
  // A question that says nothing about any file is about the repository as a whole.
  if (wanted.length === 0) wanted.push(...asListing(listing));
  const seen = new Set(pinned.map(({ segment }) => segment));
  const chosen = wanted.filter(({ segment }) => !seen.has(segment) && seen.add(segment));
  return [...pinned, ...chosen.slice(0, width)];
}

function asListing(segments: number[]): GateChoice[] {
  return segments.map((segment) => ({ segment, reason: 'words', score: 0 }));
}

type Fusion = Map<number, GateChoice>;
type Ranking = readonly [segments: number[], reason: GateSegment['reason'], weight: number];

/** Reciprocal rank fusion, best first. What speaks most for a segment is its reason; in a tie, the earlier ranking. */
function fuse(rankings: Ranking[], without: ReadonlySet<number>): Fusion {
  const fusion: Fusion = new Map();
  const highest = new Map<number, number>();
  for (const [segments, reason, weight] of rankings) {
    const ranked = segments.filter((segment) => !without.has(segment));
    ranked.forEach((segment, rank) => {
      const gain = weight / (damping + rank);
      const before = fusion.get(segment);
      const isReason = gain > (highest.get(segment) ?? 0);
      if (isReason) highest.set(segment, gain);
      const score = gain + (before?.score ?? 0);
      fusion.set(segment, { segment, reason: isReason || !before ? reason : before.reason, score });
    });
  }
  return new Map([...fusion].sort(([, a], [, b]) => b.score - a.score));
}

/** The two rankings that find the right segment. */
function searches(words: number[], heads: Float64Array | undefined, weight: number): Ranking[] {
  return [
    [words, 'words', weight],
    [byHeads(heads), 'heads', 1],
  ];
}

function byHeads(heads: Float64Array | undefined): number[] {
  if (!heads) return [];
  return [...heads.keys()].sort((a, b) => (heads[b] ?? 0) - (heads[a] ?? 0));
}

/**
 * The best of all without a name in the question; with one the best that holds it; with several the best of all, then
 * the best for each name that it lacks, and for the others.
 */
function bestFor(names: number[][], fusion: Fusion, heads: Float64Array | undefined): GateChoice[] {
  const [best] = fusion.values();
  if (!best) return [];
  if (names.length === 0) return [best];
  const lacking = names.filter((holders) => !holders.includes(best.segment));
  const others = names.filter((holders) => holders.includes(best.segment));
  const forNames = [...lacking, ...others].flatMap((holders) => {
    const held = new Set(holders);
    const rest = new Set([...fusion.keys()].filter((segment) => !held.has(segment)));
    const [choice] = fuse(searches(holders, heads, wordsWeight.named), rest).values();
    return choice ? [{ ...choice, score: fusion.get(choice.segment)?.score ?? 0 }] : [];
  });
  return names.length === 1 ? forNames : [best, ...forNames];
}

/**
 * What goes with the best segment: by the words and its imports. Not by the heads, whose next choices are the
 * segments with the most similar text, which is what misleads.
 */
function companions(
  { neighbours, dropped, listing }: GateInput,
  words: number[],
  fusion: Fusion,
): GateChoice[] {
  const [best] = fusion.keys();
  if (best === undefined) return [];
  const place = new Map(words.map((segment, rank) => [segment, rank]));
  const rankOf = (segment: number) => place.get(segment) ?? words.length;
  const near = neighbours(best).sort((a, b) => rankOf(a) - rankOf(b) || a - b);
  const rankings: Ranking[] = [
    [words, 'words', 1],
    [near, 'imports', 1],
  ];
  return [...fuse(rankings, new Set([...listing, ...dropped, best])).values()];
}

/**
 * The one that a sentence of the answer is most about, if words or heads say anything. Here they count the same: the
 * question's words speak for what is visible already.
 */
export function bestSegment(
  words: number[],
  heads: Float64Array | undefined,
  without: ReadonlySet<number>,
): GateChoice | undefined {
  const [best] = fuse(searches(words, heads, 1), without).values();
  return best;
}

/**
 * One score per segment from the shares of each head's attention mass, [heads][segments]: every head votes with the
 * same weight.
 */
export function headScores(mass: Float32Array, segments: number): Float64Array {
  const scores = new Float64Array(segments);
  for (let head = 0; head < mass.length; head += segments) {
    const shares = mass.subarray(head, head + segments);
    const total = shares.reduce((sum, share) => sum + share, 0);
    if (total > 0) shares.forEach((share, i) => (scores[i]! += share / total));
  }
  return scores;
}
