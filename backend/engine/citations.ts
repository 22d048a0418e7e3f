/** From attention to places: the lines that an answer was read from. */
import { massPerLine, type LineMap } from '../repo/lines.ts';
import type { Citation } from '../protocol.ts';

/** The first tokens behind a frame draw attention whatever they say. */
export const sinkTokens = 4;
/** A line stands out when it has so many times the mass of an average one. */
const standsOut = 3;
/** Lines no farther apart belong to one place. */
const joinGap = 2;
const mostCitations = 8;
/** Places with less than this part of the strongest one's weight are left out. */
const leastOfStrongest = 0.1;
/** How much more a place counts whose file the answer names. */
const namedWeight = 4;

/** One segment's tokens: what they stand for, and how much attention they got. */
export interface SegmentEvidence {
  lines: LineMap;
  /** Per source of `lines`, the indexes of its lines that hold no word: they draw attention but tell nothing. */
  blank: number[][];
  mass: Float32Array;
}

/** The strongest places, best first. Their `mass` is the share of all mass on lines that hold words. */
export function citations(segments: SegmentEvidence[], answer: string): Citation[] {
  const files = new Map<string, Map<number, number>>();
  for (const segment of segments) addLines(files, segment);
  const all = [...files.values()].flatMap((lines) => [...lines.values()]);
  const total = all.reduce((sum, mass) => sum + mass, 0);
  if (total === 0) return [];

  const least = (standsOut * total) / all.length;
  const strongest = largest(all);
  const weight = ({ file, mass = 0 }: Citation) => mass * (isNamed(file, answer) ? namedWeight : 1);
  const places = [...files]
    .flatMap(([file, lines]) => placesOf(file, lines, Math.min(least, strongest), total))
    .sort((a, b) => weight(b) - weight(a) || (a.file < b.file ? -1 : 1) || a.startLine - b.startLine);
  const floor = leastOfStrongest * largest(places.map(weight));
  return places.filter((place) => weight(place) >= floor).slice(0, mostCitations);
}

/** Not `Math.max(...values)`: a repository has more lines than a call may have arguments. */
function largest(values: number[]): number {
  return values.reduce((most, value) => Math.max(most, value), 0);
}

/** Adds the mass of every line that holds words, whichever segments the file was cut into. */
function addLines(
  files: Map<string, Map<number, number>>,
  { lines: map, blank, mass }: SegmentEvidence,
): void {
  const skipped = new Set(
    map.sources.flatMap(({ path, startLine }, i) =>
      (blank[i] ?? []).map((index) => `${startLine + index} ${path}`),
    ),
  );
  const settled = mass.slice().fill(0, 0, sinkTokens);
  for (const { path, line, mass } of massPerLine(map, settled)) {
    if (line === null || skipped.has(`${line} ${path}`)) continue;
    const lines = files.get(path) ?? new Map<number, number>();
    files.set(path, lines.set(line, (lines.get(line) ?? 0) + mass));
  }
}

/** The runs of lines of one file that stand out. */
function placesOf(file: string, lines: Map<number, number>, least: number, total: number): Citation[] {
  const places: Required<Citation>[] = [];
  for (const [line, mass] of [...lines].sort(([a], [b]) => a - b)) {
    if (mass < least) continue;
    const last = places.at(-1);
    if (last && line - last.endLine <= joinGap + 1) {
      last.endLine = line;
      last.mass += mass / total;
    } else {
      places.push({ file, startLine: line, endLine: line, mass: mass / total });
    }
  }
  return places;
}

/** Whether the answer names the file, by its path or its last part. */
function isNamed(file: string, answer: string): boolean {
  return answer.includes(file.slice(file.lastIndexOf('/') + 1));
}
