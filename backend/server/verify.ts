import { z } from 'zod';
import { segmentsOver } from '../context/conversation.ts';
import { openContext, type OpenContext } from '../context/open.ts';
import type { Engine } from '../engine/engine.ts';
import { logProbability } from '../engine/likelihood.ts';
import type { NativeModel } from '../engine/native.ts';
import { UserError } from '../errors.ts';
import { VerifyAnswerRequest } from '../protocol.ts';
import type { VerifyAnswerParams, VerifyAnswerResult } from '../protocol.ts';
import { askSchema, placeSchema, pose } from './ask.ts';
import type { Call, Registry } from './connection.ts';

const schema = askSchema.extend({
  answer: z.string(),
  passage: z.object({ start: z.number().int().min(0), end: z.number().int().min(1) }),
  hide: z.array(placeSchema).min(1),
});

export function registerVerify(registry: Registry, engine: Engine): void {
  registry.on(VerifyAnswerRequest, schema, (params, call) =>
    engine.use(call.signal, async (signal) => {
      const context = await openContext(engine, { ...params, wait: 'none' }, { ...call, signal });
      return verifyIn(context, params, { ...call, signal });
    }),
  );
}

/**
 * Scores the sentence twice, behind the same question and the same beginning of the answer.
 * @throws UserError `usage`, `cancelled`
 */
async function verifyIn(
  context: OpenContext,
  params: VerifyAnswerParams,
  { signal, report }: Pick<Call, 'signal' | 'report'>,
): Promise<VerifyAnswerResult> {
  const { runner, snapshot } = context;
  const { segments } = snapshot;
  const hidden = [...new Set(params.hide.flatMap((place) => segmentsOver(place, params.root, segments)))];
  if (hidden.length === 0) {
    throw new UserError(
      'usage',
      'What the sentence was read from has changed since: ask the question again.',
    );
  }
  const { sight, tokens, position } = await pose(context, params, signal);
  const sentence = await sentenceOf(runner.model, params);
  const before = Int32Array.of(...tokens, ...sentence.before);
  const total = 2 * sentence.text.length;
  let done = 0;
  const onToken = () => report({ kind: 'phase', phase: 'question', done: ++done, total });
  const score = (views: ReturnType<typeof sight.assemble>['views']) => {
    runner.session.reset(views);
    return logProbability(runner, { before, text: sentence.text, position, signal, onToken });
  };
  const { views, mode } = sight.assemble({ also: hidden });
  const seen = await score(views);
  const without = await score(sight.assemble({ also: hidden, hidden, mode }).views);
  return {
    tokens: sentence.text.length,
    seen,
    hidden: without,
    files: [...new Set(hidden.flatMap((id) => segments[id]!.lines.sources.map(({ path }) => path)))],
    hiddenTokens: hidden.reduce((sum, id) => sum + segments[id]!.tokens, 0),
  };
}

/** The tokens of the sentence, a space before it included, and of what stands before it. */
async function sentenceOf(
  model: Pick<NativeModel, 'tokenize'>,
  { answer, passage: { start, end } }: Pick<VerifyAnswerParams, 'answer' | 'passage'>,
): Promise<{ before: Int32Array; text: Int32Array }> {
  const { tokens, ends } = await model.tokenize(answer.slice(0, end), false);
  const startByte = Buffer.byteLength(answer.slice(0, start));
  const first = ends.findIndex((end) => end > startByte);
  if (first < 0)
    throw new UserError('usage', 'There is no such sentence in the answer: give a range that is.');
  return { before: tokens.subarray(0, first), text: tokens.subarray(first) };
}
