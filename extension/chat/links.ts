/** Finds the places in an answer that name a cited file. Pure. */
import type { Citation } from '../../backend/protocol.ts';

/** A piece of text, and the place it links to, if any. */
export interface Piece {
  text: string;
  link?: Citation;
}

/** A path with at least one dot, and optionally `:12` or `:12-30` behind it. */
const MENTION = /([\w@./+-]*\w\.\w+)(?::(\d+)(?:-(\d+))?)?/g;

/** Splits a text at the mentions of cited files, by their path or by a name that only one of them has. */
export function linkMentions(text: string, citations: readonly Citation[]): Piece[] {
  const pieces: Piece[] = [];
  let end = 0;
  for (const match of text.matchAll(MENTION)) {
    const [mention, file = '', from, to] = match;
    const cited = citationOf(file, citations);
    if (!cited) continue;
    if (match.index > end) pieces.push({ text: text.slice(end, match.index) });
    end = match.index + mention.length;
    pieces.push({ text: mention, link: from ? { file: cited.file, ...lines(from, to) } : cited });
  }
  if (end < text.length) pieces.push({ text: text.slice(end) });
  return pieces;
}

function citationOf(mention: string, citations: readonly Citation[]): Citation | undefined {
  const file = mention.replace(/^\.\//, '');
  const exact = citations.find((citation) => citation.file === file);
  if (exact) return exact;
  const byName = citations.filter((citation) => citation.file.split('/').at(-1) === file);
  return new Set(byName.map((citation) => citation.file)).size === 1 ? byName[0] : undefined;
}

function lines(from: string, to = from): { startLine: number; endLine: number } {
  const startLine = Number(from);
  return { startLine, endLine: Math.max(startLine, Number(to)) };
}

/** `src/a.ts:3-9`, `src/a.ts:3` */
export function placeOf({ file, startLine, endLine }: Citation): string {
  return `${file}:${startLine}${endLine > startLine ? `-${endLine}` : ''}`;
}
