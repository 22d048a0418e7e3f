/** What hiding the evidence of a sentence has shown, in words. Pure. */
import type { AskParams, Place, VerifyAnswerParams, VerifyAnswerResult } from '../../backend/protocol.ts';
import { counted, listed, short } from '../format.ts';
import { t } from '../l10n.ts';
import type { Evidence } from './model.ts';

/** The places that are hidden: the strongest of the sentence. */
const MOST_HIDDEN = 3;
/** In nats a token: what comes down less is as likely without the evidence, what comes down more rests on it. */
const LITTLE = 0.05;
const MUCH = 0.5;

/** By the sentence's place, as {@link verdictKey} names it. */
export type Verdicts = ReadonlyMap<string, VerifyAnswerResult>;

export const verdictKey = (turn: number, passage: number): string => `${turn}/${passage}`;

/** What to ask the backend; undefined for what is no sentence of an answer. */
export function verifyParams(
  { turn, passage, citations }: Evidence,
  repository: Omit<AskParams, 'question'>,
): VerifyAnswerParams | undefined {
  const { activity, answer, passages } = turn;
  const range = passage === null ? undefined : passages[passage];
  if (!range || activity.kind !== 'ask') return undefined;
  const { question, place, earlier } = activity;
  const hide: Place[] = citations
    .slice(0, MOST_HIDDEN)
    .map(({ file, startLine, endLine }) => ({ file, startLine, endLine }));
  return {
    ...repository,
    question,
    place,
    earlier,
    answer,
    passage: { start: range.start, end: range.end },
    hide,
  };
}

/** `Without it −0.82 nats a token: the sentence rests on it` */
export function verdictText({ tokens, seen, hidden }: VerifyAnswerResult): string {
  const change = (hidden - seen) / tokens;
  return t('{0} nats a token when hidden: {1}', signed(change), meaning(change));
}

/** What was done, and what the number is. */
export function verdictDetails({ tokens, seen, hidden, files, hiddenTokens }: VerifyAnswerResult): string {
  return t(
    'Hidden: {0} ({1}), in whole pieces as they are stored. The log-probability of the {2} of the sentence went from {3} to {4} nats. A fall shows that the sentence was made from what was hidden; no fall, that the model would have said it anyway.',
    listed(files, 6),
    counted(hiddenTokens, 'token'),
    counted(tokens, 'token'),
    seen.toFixed(1),
    hidden.toFixed(1),
  );
}

/** For a line of the tree. */
export const hiddenText = ({ files, hiddenTokens }: VerifyAnswerResult): string =>
  t('without {0}, {1} tokens', listed(files), short(hiddenTokens));

function meaning(change: number): string {
  if (change <= -MUCH) return t('the sentence rests on it');
  if (change <= -LITTLE) return t('the sentence leans on it');
  return t('the sentence does not need it');
}

const signed = (value: number): string => (value < 0 ? `−${(-value).toFixed(2)}` : `+${value.toFixed(2)}`);
