/** What the tools say to an agent. It is for models, and so in English. Pure. */
import type { AskResult, FindResult } from '../../backend/protocol.ts';
import { placeOf } from '../chat/links.ts';

/** What an agent gets of the text of a place, and of all places. */
const MAX_LINES = 120;
const MAX_CHARACTERS = 12_000;

export interface Excerpt {
  file: string;
  startLine: number;
  lines: string[];
}

export function answerText({ answer, citations, context }: AskResult): string {
  const places = citations.map((citation) => {
    const share = citation.mass === undefined ? '' : ` ${Math.round(100 * citation.mass)}%`;
    return `- ${placeOf(citation)}${share}`;
  });
  const unread =
    context.coverage < 1 ? `Only ${Math.floor(100 * context.coverage)}% of the repository was read.` : '';
  const read = 'The places that the answer was read from, by share of attention; they are no proof:';
  return [answer.trim(), ...(places.length > 0 ? [`${read}\n${places.join('\n')}`] : []), unread]
    .filter(Boolean)
    .join('\n\n');
}

export function foundText({ segments, files }: FindResult, excerpts: readonly Excerpt[]): string {
  const places = segments.map(({ paths, startLine, endLine, reason }) =>
    paths.length === 1
      ? `- ${placeOf({ file: paths[0] ?? '', startLine, endLine })} (${reason})`
      : `- ${paths.join(', ') || 'the list of all files'} (${reason})`,
  );
  let room = MAX_CHARACTERS;
  const texts = excerpts.flatMap(({ file, startLine, lines }) => {
    const kept = lines.slice(0, MAX_LINES);
    const text = kept.join('\n').slice(0, Math.max(0, room));
    room -= text.length;
    return text ? [`${file}, from line ${startLine}:\n\`\`\`\n${text}\n\`\`\``] : [];
  });
  return [
    places.length > 0 ? `Places that matter to the question, the best first:\n${places.join('\n')}` : '',
    files.length > 0 ? `Files that its words point at: ${files.join(', ')}` : '',
    ...texts,
  ]
    .filter(Boolean)
    .join('\n\n');
}
