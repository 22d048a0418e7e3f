/**
 * Packs the files of a repository into segments, the units that are prefilled and stored. A segment depends on
 * nothing but the files of its own folder, so that a change elsewhere leaves it, and what is stored for it, alone.
 */
import { createHash } from 'node:crypto';
import type { Segment, Tokenize } from './segment.ts';
import { build, displayed, piecesOf } from './segment.ts';
import { splitSource } from './split.ts';

/** In tokens. */
export interface PackLimits {
  /** No segment is longer. */
  longest: number;
  /** Shorter files share a segment with their neighbours in the folder ... */
  small: number;
  /** ... until it is that long. */
  group: number;
  /** A repository that is not longer becomes one segment: short contexts are read in sequence, exactly. */
  sequential: number;
  /** Files that would make more than that together are left out, the last ones in the order of paths. */
  total: number;
}

export const PACK_LIMITS: PackLimits = {
  longest: 4_096,
  small: 256,
  group: 1_024,
  sequential: 8_192,
  total: 1_000_000,
};

export interface PackTools {
  readText: (path: string) => Promise<string>;
  tokenize: Tokenize;
  limits?: PackLimits;
}

/**
 * The segments of these files, whose paths are in order; the list of their paths comes first. Each file is tokenized
 * once, those that are split or share a segment once more in their final place.
 */
export async function pack(files: readonly { path: string }[], tools: PackTools): Promise<Segment[]> {
  if (files.length === 0) return [];
  const limits = tools.limits ?? PACK_LIMITS;
  const singles: Segment[] = [];
  let total = 0;
  for (const { path } of files) {
    const segment = await build(
      [{ path, startLine: 1, content: await tools.readText(path) }],
      tools.tokenize,
    );
    total += segment.tokens.length;
    if (total > limits.total && singles.length > 0) break;
    singles.push(segment);
  }
  const list = await packList(files.slice(0, singles.length), tools.tokenize, limits);
  if (total + sum(list) <= limits.sequential) {
    const whole = await build(
      singles.flatMap(piecesOf),
      tools.tokenize,
      list.map(({ text }) => text).join(''),
    );
    if (whole.tokens.length <= limits.sequential) return [whole];
  }

  const segments = [...list];
  for (const group of groupSmall(singles, limits)) {
    const first = group[0]!;
    if (group.length > 1)
      segments.push(
        ...(await buildWithin(limits.longest, group, (items) =>
          build(items.flatMap(piecesOf), tools.tokenize),
        )),
      );
    else if (first.tokens.length <= limits.longest) segments.push(first);
    else segments.push(...(await splitSource(first, limits.longest, tools.tokenize)));
  }
  return segments;
}

/**
 * Gathers small files of one folder, in path order; every other file stays alone. A group that is half full ends
 * after a path whose hash says so, so that a new file moves only the ends next to it.
 */
function groupSmall(files: readonly Segment[], limits: PackLimits): Segment[][] {
  const groups: Segment[][] = [];
  const open = new Map<string, Segment[]>();
  for (const file of files) {
    const folder = folderOf(file.sources[0]!.path);
    const group = open.get(folder);
    if (file.tokens.length >= limits.small) {
      groups.push([file]);
    } else if (group && sum([...group, file]) <= limits.group && !isFull(group, limits)) {
      group.push(file);
    } else {
      const fresh = [file];
      open.set(folder, fresh);
      groups.push(fresh);
    }
  }
  return groups;
}

function isFull(group: readonly Segment[], limits: PackLimits): boolean {
  return sum(group) > limits.group / 2 && mayCutAfter(group.at(-1)!.sources[0]!.path, 4);
}

/**
 * One segment of several items; tokens may merge differently at the seams than was reckoned, so that one that came
 * out too long is halved.
 */
async function buildWithin<T>(
  longest: number,
  items: readonly T[],
  make: (items: readonly T[]) => Promise<Segment>,
): Promise<Segment[]> {
  const segment = await make(items);
  if (segment.tokens.length <= longest || items.length === 1) return [segment];
  const half = Math.ceil(items.length / 2);
  return [
    ...(await buildWithin(longest, items.slice(0, half), make)),
    ...(await buildWithin(longest, items.slice(half), make)),
  ];
}

const LIST_HEADER = '// files of the repository\n';
/** Tokens for the header, and for lines that cost more in their final place than in the whole list. */
const LIST_MARGIN = 64;

/**
 * The paths of all files, one per line, in few segments. A long list is cut after paths whose hash says so, so that
 * a new file moves only the cut next to it.
 */
async function packList(
  files: readonly { path: string }[],
  tokenize: Tokenize,
  { longest }: PackLimits,
): Promise<Segment[]> {
  const lines = files.map(({ path }) => `${displayed(path)}\n`);
  const lengths = tokensPerLine(lines, (await tokenize(lines.join(''))).ends);
  const parts: string[][] = [[]];
  let tokens = 0;
  const open = () => {
    parts.push([]);
    tokens = 0;
  };
  lines.forEach((line, index) => {
    if (tokens + lengths[index]! > longest - LIST_MARGIN && tokens > 0) open();
    parts.at(-1)!.push(line);
    tokens += lengths[index]!;
    if (tokens > longest / 2 && mayCutAfter(line, 16)) open();
  });

  const segments: Segment[] = [];
  for (const part of parts.filter(({ length }) => length > 0))
    segments.push(
      ...(await buildWithin(longest, part, (items) =>
        build([], tokenize, `${LIST_HEADER}${items.join('')}\n`),
      )),
    );
  return segments;
}

/** How many tokens end in each of the lines. */
function tokensPerLine(lines: readonly string[], ends: Uint32Array): number[] {
  let end = 0;
  let token = 0;
  return lines.map((line) => {
    end += Buffer.byteLength(line);
    const first = token;
    while (token < ends.length && ends[token]! <= end) token++;
    return token - first;
  });
}

/** True for one path in so many. */
function mayCutAfter(path: string, oneIn: number): boolean {
  return createHash('sha256').update(path).digest()[0]! % oneIn === 0;
}

function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/') + 1);
}

function sum(segments: readonly Segment[]): number {
  return segments.reduce((total, { tokens }) => total + tokens.length, 0);
}
