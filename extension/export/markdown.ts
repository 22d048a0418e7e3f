/** An answer as a Markdown document. Pure. */
import type { Citation } from '../../backend/protocol.ts';
import { placeOf } from '../chat/links.ts';
import type { Turn } from '../chat/model.ts';
import { count } from '../format.ts';
import { t } from '../l10n.ts';

/** Those of the chat that can be exported, the newest first. */
export function answers(turns: readonly Turn[]): Turn[] {
  return turns.filter(({ activity, answer }) => activity.kind === 'ask' && answer !== '').toReversed();
}

export const questionOf = ({ activity }: Turn): string => (activity.kind === 'ask' ? activity.question : '');

/** `link` turns a path relative to the repository into one relative to the document. */
export function answerMarkdown(turn: Turn, link: (file: string) => string = (file) => file): string {
  const { answer, citations, activity } = turn;
  const name = activity.root.split(/[/\\]/).at(-1) ?? activity.root;
  const sources = citations.map((citation) => `- ${sourceOf(citation, link)}`);
  return [
    `# ${questionOf(turn).replaceAll(/\s+/g, ' ')}`,
    '',
    answer.trim(),
    '',
    ...(sources.length > 0
      ? [`## ${t('Sources')}`, '', ...sources, '', t('They tell what was read most; they prove nothing.'), '']
      : []),
    '---',
    '',
    t('RepoWave, about {0}', name),
    '',
  ].join('\n');
}

/** `[src/a.ts:3-9](src/a.ts#L3-L9), 62%` */
function sourceOf(citation: Citation, link: (file: string) => string): string {
  const { file, startLine, endLine, mass } = citation;
  const lines = endLine > startLine ? `#L${startLine}-L${endLine}` : `#L${startLine}`;
  const share = mass === undefined ? '' : `, ${count(100 * mass)}%`;
  return `[${placeOf(citation)}](<${encodeURI(link(file))}${lines}>)${share}`;
}
