import type { Citation } from '../protocol.ts';
import type { LineMap } from '../repo/lines.ts';
import { citations, sinkTokens } from './citations.ts';

interface Source {
  lines: LineMap;
  blank: number[][];
}

/** Attention mass per token of the segments that were seen, summed over stretches of an answer. */
export class EvidenceSum {
  readonly #mass = new Map<number, Float32Array>();

  constructor(private readonly segments: readonly Source[]) {}

  /**
   * @param ids which segment each of `masses` is of
   * @param masses per token, mean over `steps`; empty for those seen in outline only
   */
  add(ids: readonly number[], masses: readonly Float32Array[], steps: number): void {
    ids.forEach((id, i) => {
      const mass = masses[i];
      if (!mass || mass.length === 0) return;
      const sum = this.#mass.get(id) ?? new Float32Array(mass.length);
      mass.forEach((share, token) => (sum[token]! += share * steps));
      this.#mass.set(id, sum);
    });
  }

  /** The places that stand out. */
  citations(answer: string): Citation[] {
    const evidence = [...this.#mass].flatMap(([id, mass]) => {
      const source = this.segments[id];
      return source ? [{ ...source, mass }] : [];
    });
    return citations(evidence, answer);
  }

  /** The segment with the most mass, sinks aside. */
  strongest(): number | undefined {
    let best: { id: number; total: number } | undefined;
    for (const [id, mass] of this.#mass) {
      const total = mass.subarray(sinkTokens).reduce((sum, share) => sum + share, 0);
      if (total > (best?.total ?? 0)) best = { id, total };
    }
    return best?.id;
  }
}
