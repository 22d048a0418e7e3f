/** How likely the model finds a given text. */
import type { Runner } from './engine.ts';

/** What stands before the text, what is looked at having been set before. */
export interface Given {
  /** At least one token. */
  before: Int32Array;
  text: Int32Array;
  /** Where `before` starts. */
  position: number;
  signal: AbortSignal;
  /** Called with each token. */
  onToken: () => void;
}

/**
 * The log-probability of the text in nats: the sum over its tokens, each behind the ones before it.
 * @throws UserError `cancelled`
 */
export async function logProbability(
  runner: Runner,
  { before, text, position, signal, onToken }: Given,
): Promise<number> {
  const last = before.length - 1;
  await runner.forward(before.subarray(0, last), position, { sample: false, signal });
  let sum = 0;
  let token = before[last]!;
  for (const [i, next] of text.entries()) {
    await runner.forward(Int32Array.of(token), position + last + i, { sample: true, signal });
    sum += logSoftmax(runner.session.logits(), next);
    token = next;
    onToken();
  }
  return sum;
}

/** The logarithm of the share that one of the logits gets. */
export function logSoftmax(logits: Float32Array, index: number): number {
  let most = -Infinity;
  for (const logit of logits) if (logit > most) most = logit;
  let sum = 0;
  for (const logit of logits) sum += Math.exp(logit - most);
  return logits[index]! - most - Math.log(sum);
}
