/** What a model's retrieval heads say about the segments, before the model has seen any of them. */
import { throwIfCancelled } from '../errors.ts';
import type { Head, NativeModel, NativeSegment, NativeSession } from '../engine/native.ts';
import { questionText, tokenizeParts } from './assemble.ts';
import { frameView } from './views.ts';

export interface ProbeContext {
  session: Pick<NativeSession, 'reset' | 'watch' | 'probe' | 'headMass' | 'cancel'>;
  model: Pick<NativeModel, 'tokenize'>;
  frame: NativeSegment;
  segments: NativeSegment[];
  heads: readonly Head[];
}

/**
 * The heads' attention mass for a question that sees nothing but the frame: [heads][ids], shares among the segments
 * of these indexes. All tokens of the question vote: what stands behind it, such as the opening of the answer, looks
 * anywhere. The session is left without a tail.
 * @throws UserError `cancelled`
 */
export async function probe(
  { session, model, frame, segments, heads }: ProbeContext,
  question: string,
  ids: readonly number[],
  signal: AbortSignal,
): Promise<Float32Array> {
  const tokens = await tokenizeParts(model, [{ text: questionText(question), special: false }]);
  const cancel = () => session.cancel();
  signal.addEventListener('abort', cancel);
  try {
    throwIfCancelled(signal);
    session.reset([frameView(frame)]);
    session.watch(heads);
    await session.probe(tokens, frame.tokens);
    return await session.headMass(ids.map((id) => segments[id]!));
  } finally {
    session.watch([]);
    signal.removeEventListener('abort', cancel);
  }
}
