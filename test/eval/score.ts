/** Compares what a model would have said, token by token, with what is right, and with what another run said. */

/** Teacher-forced: each token is judged with the right ones before it, so that `exact` equals greedy exact match. */
export interface Score {
  /** Every token of the right answer came first. False for no tokens. */
  exact: boolean;
  tokens: number;
  /** Tokens that came first. */
  right: number;
  /** Negative log-likelihood of the right answer, in nats per token. */
  nll: number;
  /** Mean over tokens of KL(reference || this), in nats, and share of tokens on whose first choice both agree. */
  kl: number;
  agreement: number;
}

/**
 * @param steps logits of each step, [tokens][vocabulary]
 * @param gold the right tokens
 * @param reference logits of the run to compare with, of the same shape
 */
export function scoreAnswer(
  steps: readonly Float32Array[],
  gold: Int32Array,
  reference: readonly Float32Array[] = steps,
): Score {
  const tokens = gold.length;
  if (steps.length !== tokens || reference.length !== tokens) {
    throw new Error(`${steps.length} and ${reference.length} steps do not fit ${tokens} tokens.`);
  }
  const score = { exact: false, tokens, right: 0, nll: 0, kl: 0, agreement: 0 };
  steps.forEach((logits, i) => {
    const choice = argmax(logits);
    if (choice === gold[i]) score.right++;
    score.nll += (logSumExp(logits) - logits[gold[i]!]!) / tokens;
    score.kl += divergence(reference[i]!, logits) / tokens;
    if (choice === argmax(reference[i]!)) score.agreement += 1 / tokens;
  });
  score.exact = tokens > 0 && score.right === tokens;
  return score;
}

/** A free answer is right when it holds all parts, in any order and case; an empty one, or an empty part, is wrong. */
export function scoreText(
  text: string,
  { gold, golds = [gold] }: { gold: string; golds?: string[] | undefined },
): Score {
  const lower = text.toLowerCase();
  const right = golds.filter((part) => part !== '' && lower.includes(part.toLowerCase())).length;
  return {
    exact: golds.length > 0 && right === golds.length,
    tokens: 0,
    right: 0,
    nll: 0,
    kl: 0,
    agreement: 0,
  };
}

/** The first of the largest; -1 when nothing is larger than nothing, as among NaNs. */
function argmax(values: Float32Array): number {
  let best = -1;
  let most = -Infinity;
  values.forEach((value, i) => {
    if (value > most) [best, most] = [i, value];
  });
  return best;
}

function logSumExp(logits: Float32Array): number {
  const most = logits[argmax(logits)] ?? NaN;
  let sum = 0;
  for (const logit of logits) sum += Math.exp(logit - most);
  return most + Math.log(sum);
}

/** KL(p || q) of two distributions given as logits. */
function divergence(p: Float32Array, q: Float32Array): number {
  if (p === q) return 0;
  const [normP, normQ] = [logSumExp(p), logSumExp(q)];
  let sum = 0;
  for (let i = 0; i < p.length; i++) {
    const logP = p[i]! - normP;
    sum += Math.exp(logP) * (logP - (q[i]! - normQ));
  }
  return Math.max(0, sum);
}
