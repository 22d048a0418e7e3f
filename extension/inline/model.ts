/** Conversations about lines of a file: what is kept of them, where their lines are, and how they look. Pure. */
import type { Citation, Place } from '../../backend/protocol.ts';
import { shareText } from '../evidence/model.ts';
import { placeOf } from '../chat/links.ts';
import { t } from '../l10n.ts';
import { safeMarkdown } from './safe-markdown.ts';

/** A question with its answer. */
export interface Exchange {
  question: string;
  answer: string;
  /** The strongest first. */
  citations: Citation[];
  /** What to say below: which state of the files it saw, or why there is no answer. */
  note: string;
}

/** Lines from 0, both ends included, as VS Code counts them. */
export interface LineRange {
  start: number;
  end: number;
}

/** A conversation as it is remembered. */
export interface StoredThread {
  uri: string;
  range: LineRange;
  /** The lines as they were last seen, to find them again. */
  text: string[];
  exchanges: Exchange[];
  resolved: boolean;
}

/** One edit: `start` to `end` is replaced by text with so many line breaks. */
export interface Edit {
  start: { line: number; character: number };
  end: { line: number; character: number };
  breaks: number;
}

/** Sources named below an answer. */
const MOST_SOURCES = 5;
/** Exchanges told to the model. */
const MOST_EARLIER = 2;

/** Where the lines are after an edit. */
export function moved({ start, end }: LineRange, edit: Edit): LineRange {
  const by = edit.breaks - (edit.end.line - edit.start.line);
  const isAbove = edit.end.line < start || (edit.end.line === start && edit.end.character === 0);
  if (isAbove) return { start: start + by, end: end + by };
  if (edit.start.line > end) return { start, end };
  const first = Math.min(start, edit.start.line);
  return { start: first, end: Math.max(first, end + by) };
}

/** Where the remembered lines are in the file as it is now: where they were, or where alone they are word for word. */
export function foundAgain({ range, text }: StoredThread, lines: readonly string[]): LineRange {
  const isAt = (start: number) => text.every((line, i) => lines[start + i] === line);
  if (text.length === 0 || isAt(range.start)) return clamped(range, lines.length);
  const places = lines.flatMap((_, start) => (isAt(start) ? [start] : []));
  const [start] = places;
  if (places.length !== 1 || start === undefined) return clamped(range, lines.length);
  return { start, end: start + range.end - range.start };
}

function clamped({ start, end }: LineRange, lines: number): LineRange {
  const last = Math.max(0, lines - 1);
  return { start: Math.min(start, last), end: Math.min(end, last) };
}

/** What the model is told of the conversation before a question. */
export const earlierOf = (exchanges: readonly Exchange[]): Pick<Exchange, 'question' | 'answer'>[] =>
  exchanges
    .filter(({ answer }) => answer !== '')
    .slice(-MOST_EARLIER)
    .map(({ question, answer }) => ({ question, answer }));

export const placeFrom = (file: string, { start, end }: LineRange): Place => ({
  file,
  startLine: start + 1,
  endLine: end + 1,
});

/**
 * The answer as Markdown with links to its sources.
 * @param linkOf the address of a place; undefined for one outside of the folder
 */
export function answerMarkdown(
  { answer, citations, note }: Exchange,
  linkOf: (citation: Citation) => string | undefined,
): string {
  const sources = citations.slice(0, MOST_SOURCES).flatMap((citation) => {
    const link = linkOf(citation);
    return link
      ? [`[${placeOf(citation).replace(/[[\]]/g, '\\$&')}](${link}) ${shareText(citation.mass)}`.trim()]
      : [];
  });
  return [
    safeMarkdown(answer),
    sources.length > 0 ? `${t('Sources')}: ${sources.join(' · ')}` : '',
    note === '' ? '' : `_${note}_`,
  ]
    .filter(Boolean)
    .join('\n\n');
}
