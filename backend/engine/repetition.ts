/** A run must come back this often to be a loop, */
const repeats = 4;
/** and cover at least this many tokens: rulers of dashes and rows of zeros are no loops. */
const shortest = 32;
const longestPeriod = 128;

/** Whether the tokens end in the same run, over and over. */
export function endsInLoop(tokens: readonly number[]): boolean {
  for (let period = 1; period <= longestPeriod && period * repeats <= tokens.length; period++) {
    const span = Math.max(repeats * period, Math.ceil(shortest / period) * period);
    if (span <= tokens.length && isPeriodic(tokens, period, span)) return true;
  }
  return false;
}

/** Whether the last `span` tokens have this period. */
function isPeriodic(tokens: readonly number[], period: number, span: number): boolean {
  for (let i = tokens.length - 1; i >= tokens.length - span + period; i--) {
    if (tokens[i] !== tokens[i - period]) return false;
  }
  return true;
}
