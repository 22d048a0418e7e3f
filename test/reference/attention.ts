/**
 * Exact attention, the specification of native/wave/attention: float64, plain loops.
 * (Vaswani et al. 2017, section 3.2.1; grouped queries: Ainslie et al. 2023.)
 */

/** K and V of a run of tokens for all KV heads: k is [tokens][kvHeads][dk], v is [tokens][kvHeads][dv]. */
export interface Run {
  tokens: number;
  k: ArrayLike<number>;
  v: ArrayLike<number>;
  /** Added to every logit of the run. */
  bias: number;
}

export interface Shape {
  queryHeads: number;
  kvHeads: number;
  dk: number;
  dv: number;
}

export interface Attended {
  /** [tokens][queryHeads][dv] */
  out: Float64Array;
  /** [tokens of all views], of the last query token: the attention mass, summed over the query heads. */
  mass: Float64Array;
}

/**
 * Query token t of `tokens` sees all of the views and the tail's tokens up to its own place, which is
 * tail.tokens - tokens + t.
 * @param q [tokens][queryHeads][dk]
 */
export function attend(
  shape: Shape,
  q: ArrayLike<number>,
  tokens: number,
  scale: number,
  views: Run[],
  tail: Run,
): Attended {
  const { queryHeads, kvHeads, dk, dv } = shape;
  const out = new Float64Array(tokens * queryHeads * dv);
  const mass = new Float64Array(views.reduce((sum, view) => sum + view.tokens, 0));
  for (let t = 0; t < tokens; t++) {
    for (let head = 0; head < queryHeads; head++) {
      const kvHead = Math.floor((head * kvHeads) / queryHeads);
      const logits: number[] = [];
      const values: { run: Run; at: number }[] = [];
      for (const run of [...views, tail]) {
        const visible = run === tail ? tail.tokens - tokens + t + 1 : run.tokens;
        for (let j = 0; j < visible; j++) {
          let dot = 0;
          for (let d = 0; d < dk; d++) {
            dot += (q[(t * queryHeads + head) * dk + d] ?? 0) * (run.k[(j * kvHeads + kvHead) * dk + d] ?? 0);
          }
          logits.push(dot * scale + run.bias);
          values.push({ run, at: (j * kvHeads + kvHead) * dv });
        }
      }
      const top = logits.reduce((a, b) => Math.max(a, b), -Infinity);
      const weights = logits.map((logit) => Math.exp(logit - top));
      const sum = weights.reduce((a, b) => a + b, 0);
      weights.forEach((weight, i) => {
        const share = weight / sum;
        const value = values[i]!;
        for (let d = 0; d < dv; d++) {
          out[(t * queryHeads + head) * dv + d]! += share * (value.run.v[value.at + d] ?? 0);
        }
        if (t === tokens - 1 && i < mass.length) mass[i]! += share;
      });
    }
  }
  return { out, mass };
}
