/** Packings in the form in which they are saved, and what of an earlier one stays when files change. */
import { importGraph, importPaths } from '../repo/imports.ts';
import { lineMapOf } from '../repo/lines.ts';
import { nothingEarlier, packAnew, type Earlier, type Packing, type PackTools } from '../repo/pack.ts';
import type { SourceFile } from '../repo/scan.ts';
import { piecesOf, type Segment } from '../repo/segment.ts';
import { wordsOf } from './lexical.ts';
import { blankLinesOf, originsOf } from './origin.ts';
import type { Details, Manifest, SavedSnapshot } from './saved.ts';

/** One entry of the manifest's and the details' segments. */
export interface DescribedSegment {
  stored: Manifest['segments'][number];
  details: Details['segments'][number];
}

export interface Description {
  segments: DescribedSegment[];
  files: Details['files'];
  imports: Details['imports'];
}

/**
 * Packs files. What an earlier packing, within the same limits, has made of files that are as they were is taken over.
 * @param hashOf the name of a text in the store
 */
export async function packFiles(
  files: readonly Pick<SourceFile, 'path' | 'hash'>[],
  tools: PackTools,
  earlier: SavedSnapshot | undefined,
  hashOf: (text: string) => string,
): Promise<Description> {
  const packing = await packAnew(files, tools, earlier ? earlierOf(earlier, files) : nothingEarlier);
  const hashes = new Map(files.map(({ path, hash }) => [path, hash]));
  return describe(packing, earlier?.details, hashes, hashOf);
}

function describe(
  packing: Packing<DescribedSegment>,
  earlier: Pick<Details, 'files'> | undefined,
  hashes: ReadonlyMap<string, string>,
  hashOf: (text: string) => string,
): Description {
  const made = packing.segments.flatMap((segment) => ('made' in segment ? [segment.made] : []));
  const described = describeMade(made, hashOf).values();
  const segments = packing.segments.map((segment) =>
    'kept' in segment ? segment.kept : described.next().value!,
  );
  const targets = new Map(earlier?.files.map((file) => [file.path, file.targets]));
  for (const [path, found] of targetsOf(made)) targets.set(path, found);
  const files = packing.files.map(({ path, tokens }) => {
    return { path, hash: hashes.get(path)!, tokens, targets: targets.get(path) ?? [] };
  });
  return { segments, files, imports: importGraph(files) };
}

function describeMade(made: readonly Segment[], hashOf: (text: string) => string): DescribedSegment[] {
  const origins = originsOf(made);
  return made.map((segment, i) => ({
    stored: { hash: hashOf(segment.text), tokens: segment.tokens.length },
    details: {
      lines: lineMapOf(segment),
      blank: blankLinesOf(segment),
      words: piecesOf(segment).map(({ path, content }) => wordsOf(path, content)),
      origin: origins[i]!,
    },
  }));
}

/** What the files in these segments import. */
function targetsOf(segments: readonly Segment[]): Map<string, string[]> {
  const targets = new Map<string, string[]>();
  for (const { path, content } of segments.flatMap(piecesOf))
    targets.set(path, [...new Set([...(targets.get(path) ?? []), ...importPaths(path, content)])]);
  return targets;
}

/** What stays of a saved packing, now that the files are these. */
function earlierOf(
  { manifest, details }: SavedSnapshot,
  files: readonly Pick<SourceFile, 'path' | 'hash'>[],
): Earlier<DescribedSegment> {
  const hashes = new Map(files.map(({ path, hash }) => [path, hash]));
  const unchanged = new Map(
    details.files.flatMap(({ path, hash, tokens }) => (hashes.get(path) === hash ? [[path, tokens]] : [])),
  );
  const groups = new Map<string, DescribedSegment[]>();
  details.segments.forEach((segment, i) => {
    // With the list of files before them, they are no group.
    if (segment.origin.preamble !== '') return;
    const key = keyOf(segment.lines.sources.map(({ path }) => path));
    const group = groups.get(key) ?? [];
    groups.set(key, [...group, { stored: manifest.segments[i]!, details: segment }]);
  });
  return {
    tokensOf: (path) => unchanged.get(path),
    segmentsOf: (paths) =>
      paths.every((path) => unchanged.has(path)) ? groups.get(keyOf(paths)) : undefined,
  };
}

function keyOf(paths: readonly string[]): string {
  return JSON.stringify(paths);
}
