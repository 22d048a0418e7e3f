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

/** What an earlier packing, within the same limits, has made of files that are still as they were. */
export interface Earlier<S> {
  /** Tokens of a file as a segment of its own; undefined when it has changed or is new. */
  tokensOf(path: string): number | undefined;
  /** What has become of a group of files; undefined when it was another one, or one of them has changed. */
  segmentsOf(paths: readonly string[]): S[] | undefined;
}

export interface Packing<S> {
  /** Made now, or by the earlier packing. */
  segments: ({ made: Segment } | { kept: S })[];
  /** The files in them, with the tokens of each as a segment of its own. */
  files: { path: string; tokens: number }[];
}

export const nothingEarlier: Earlier<never> = { tokensOf: () => undefined, segmentsOf: () => undefined };

/** The segments of these files, see {@link packAnew}. */
export async function pack(files: readonly { path: string }[], tools: PackTools): Promise<Segment[]> {
  const { segments } = await packAnew(files, tools, nothingEarlier);
  return segments.flatMap((segment) => ('made' in segment ? [segment.made] : []));
}

/**
 * The segments of these files, whose paths are in order; the list of their paths comes first. Each file is read and
 * tokenized once, those that are split or share a segment once more in their final place; but for what is kept.
 */
export async function packAnew<S>(
  files: readonly { path: string }[],
  tools: PackTools,
  earlier: Earlier<S>,
): Promise<Packing<S>> {
  if (files.length === 0) return { segments: [], files: [] };
  const limits = tools.limits ?? PACK_LIMITS;
  const items: Item[] = [];
  let total = 0;
  for (const { path } of files) {
    const item = new Item(path, tools, earlier.tokensOf(path));
    total += await item.count();
    if (total > limits.total && items.length > 0) break;
    items.push(item);
  }
  const list = await packList(items, tools.tokenize, limits);
  const packed = items.map(({ path, tokens }) => ({ path, tokens }));
  if (total + sum(list) <= limits.sequential) {
    const preamble = list.map(({ text }) => text).join('');
    const whole = await build((await segmentsOf(items)).flatMap(piecesOf), tools.tokenize, preamble);
    if (whole.tokens.length <= limits.sequential) return { segments: [{ made: whole }], files: packed };
  }

  const segments: Packing<S>['segments'] = list.map((made) => ({ made }));
  for (const group of groupSmall(items, limits)) {
    const kept = earlier.segmentsOf(group.map(({ path }) => path));
    if (kept) segments.push(...kept.map((segment) => ({ kept: segment })));
    else segments.push(...(await buildGroup(group, tools.tokenize, limits)).map((made) => ({ made })));
  }
  return { segments, files: packed };
}

/** A file that is read when its text or its length is needed. */
class Item {
  #segment: Promise<Segment> | undefined;

  constructor(
    readonly path: string,
    private readonly tools: PackTools,
    private known: number | undefined,
  ) {}

  /** Known once it was counted. */
  get tokens(): number {
    return this.known!;
  }

  async count(): Promise<number> {
    return (this.known ??= (await this.segment()).tokens.length);
  }

  /** As a segment of its own. */
  async segment(): Promise<Segment> {
    return (this.#segment ??= this.#build());
  }

  async #build(): Promise<Segment> {
    const content = await this.tools.readText(this.path);
    return build([{ path: this.path, startLine: 1, content }], this.tools.tokenize);
  }
}

async function segmentsOf(items: readonly Item[]): Promise<Segment[]> {
  return Promise.all(items.map((item) => item.segment()));
}

async function buildGroup(
  group: readonly Item[],
  tokenize: Tokenize,
  { longest }: PackLimits,
): Promise<Segment[]> {
  const singles = await segmentsOf(group);
  const [first] = singles;
  if (first === undefined || group.length > 1)
    return buildWithin(longest, singles, (items) => build(items.flatMap(piecesOf), tokenize));
  return first.tokens.length <= longest ? [first] : splitSource(first, longest, tokenize);
}

/**
 * Gathers small files of one folder, in path order; every other file stays alone. A group that is half full ends
 * after a path whose hash says so, so that a new file moves only the ends next to it.
 */
function groupSmall(files: readonly Item[], limits: PackLimits): Item[][] {
  const groups: Item[][] = [];
  const open = new Map<string, Item[]>();
  for (const file of files) {
    const folder = folderOf(file.path);
    const group = open.get(folder);
    if (file.tokens >= limits.small) {
      groups.push([file]);
    } else if (group && tokensIn(group) + file.tokens <= limits.group && !isFull(group, limits)) {
      group.push(file);
    } else {
      const fresh = [file];
      open.set(folder, fresh);
      groups.push(fresh);
    }
  }
  return groups;
}

function isFull(group: readonly Item[], limits: PackLimits): boolean {
  return tokensIn(group) > limits.group / 2 && mayCutAfter(group.at(-1)!.path, 4);
}

function tokensIn(group: readonly Item[]): number {
  return group.reduce((total, { tokens }) => total + tokens, 0);
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
