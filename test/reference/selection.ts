/** Which clusters are retrieved, the specification of native/wave/selection and WavePass::select. */

/**
 * The rank of each cluster: the mass that the estimation gives it among all clusters, summed over the query rows.
 * (RetroInfer, section 4.2, equation 2; its ranking leaves the sizes out.)
 * @param logits per row the logits q . C of all clusters
 * @param weights s exp(bias) of each cluster
 */
export function rankClusters(logits: Float64Array[], weights: ArrayLike<number>): Float64Array {
  const ranks = new Float64Array(weights.length);
  for (const row of logits) {
    const top = row.reduce((a, b) => Math.max(a, b), -Infinity);
    const masses = row.map((logit, c) => weights[c]! * Math.exp(logit - top));
    const sum = masses.reduce((a, b) => a + b, 0);
    if (sum > 0) masses.forEach((mass, c) => (ranks[c]! += mass / sum));
  }
  return ranks;
}

/**
 * Clusters by falling rank, of equal ranks the first, as long as those taken hold fewer tokens than the budget.
 * @returns their numbers, ascending
 */
export function choose(ranks: ArrayLike<number>, sizes: ArrayLike<number>, budget: number): number[] {
  const byRank = Array.from({ length: ranks.length }, (_, c) => c).sort(
    (a, b) => ranks[b]! - ranks[a]! || a - b,
  );
  const chosen: number[] = [];
  let taken = 0;
  for (const c of byRank) {
    if (taken >= budget) break;
    chosen.push(c);
    taken += sizes[c]!;
  }
  return chosen.sort((a, b) => a - b);
}
