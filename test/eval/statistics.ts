/** What a count of right answers is worth. */

/** The 95 % interval of a share, after Wilson (1927); [0, 1] for no trials. */
export function wilson(right: number, trials: number): [low: number, high: number] {
  if (trials === 0) return [0, 1];
  const z = 1.959964;
  const share = right / trials;
  const centre = share + (z * z) / (2 * trials);
  const half = z * Math.sqrt((share * (1 - share)) / trials + (z * z) / (4 * trials * trials));
  const scale = 1 + (z * z) / trials;
  return [Math.max(0, (centre - half) / scale), Math.min(1, (centre + half) / scale)];
}

/** Two-sided sign test: how likely so uneven a split of the questions that came out differently is by chance. */
export function signTest(wins: number, losses: number): number {
  const trials = wins + losses;
  let term = 0.5 ** trials;
  let tail = 0;
  for (let k = 0; k <= Math.min(wins, losses); k++) {
    tail += term;
    term *= (trials - k) / (k + 1);
  }
  return Math.min(1, 2 * tail);
}

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
