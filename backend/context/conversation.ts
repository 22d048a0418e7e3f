/** What belongs to a question beside its words: the lines that it is about, and what was said before. */
import type { AskParams, Place } from '../protocol.ts';
import { readText } from '../repo/text.ts';
import { insideRoot } from './paths.ts';
import type { SnapshotSegment } from './snapshot.ts';

/** A question and its answers of these lengths leave room for the next one. */
const mostExchanges = 2;
const longestAnswer = 1_000;
const mostLines = 40;
const longestExcerpt = 4_000;

type Conversation = Pick<AskParams, 'root' | 'question' | 'place' | 'earlier'>;
type Mapped = Pick<SnapshotSegment, 'lines'>;

/** What the gate goes by: "and where is it called?" is about what was asked before. */
export function gateQuestion({ question, earlier = [] }: Pick<AskParams, 'question' | 'earlier'>): string {
  const before = earlier.at(-1);
  return before ? `${before.question}\n${question}` : question;
}

/** The segments that hold any of the lines; none when the file is not among what is read. */
export function segmentsOver(place: Place | undefined, root: string, segments: readonly Mapped[]): number[] {
  if (!place) return [];
  const file = insideRoot(place.file, root);
  return [...segments.keys()].filter((id) =>
    segments[id]!.lines.sources.some(
      ({ path, startLine, lines }) =>
        path === file &&
        startLine <= place.endLine &&
        place.startLine < startLine + Math.max(1, lines.length),
    ),
  );
}

/** What is said before the question. Lines of files that are not read are named only. */
export async function conversationOf(
  { root, place, earlier = [] }: Conversation,
  { segments }: { segments: readonly Mapped[] },
): Promise<{ conversation?: string }> {
  const exchanges = earlier
    .slice(-mostExchanges)
    .map(({ question, answer }) => `Earlier question: ${question.trim()}\nAnswer: ${shortened(answer)}\n`);
  const about = place ? [await aboutPlace(place, root, segments)] : [];
  const conversation = [...exchanges, ...about].join('');
  return conversation ? { conversation } : {};
}

async function aboutPlace(place: Place, root: string, segments: readonly Mapped[]): Promise<string> {
  const { startLine, endLine } = place;
  const file = insideRoot(place.file, root);
  const name = `lines ${startLine} to ${endLine} of ${file}`;
  const isRead = segmentsOver(place, root, segments).length > 0;
  // One that is gone by now is named all the same.
  const text = isRead ? await readText(root, file).catch(() => '') : '';
  const lines = text.split('\n').slice(startLine - 1, Math.min(endLine, startLine - 1 + mostLines));
  const excerpt = lines.join('\n').slice(0, longestExcerpt);
  return excerpt.trim() ? `The question is about ${name}:\n${excerpt}\n` : `The question is about ${name}.\n`;
}

const shortened = (answer: string): string => answer.trim().slice(0, longestAnswer);
