/** Which stored segments a session looks at, so that they and the frame add up to a depth. */

/** Lengths in tokens, by how closely attention looks (`Detail` of the addon). */
export interface Plan {
  /** The frame first. */
  exact: number[];
  wave: number[];
  coarse: number[];
}

export const FRAME = 1_024;
export const LONGEST = 4_096;
/** What the gate chooses at most: four of the longest segments that there are. */
const VISIBLE = [LONGEST, LONGEST, LONGEST, LONGEST];
/** Up to here `auto` attends to everything exactly. */
const EXACT = 8_192;
/** The lengths of segments in turn, 1,000 on average. */
const LENGTHS = [500, 1_300, 800, 1_700, 700, 1_000];

/** @param depth tokens in all, from 1,025 to 8,192 or from 17,408 */
export function planFor(depth: number): Plan {
  if (depth <= EXACT) return { exact: [FRAME, depth - FRAME], wave: [], coarse: [] };
  const coarse: number[] = [];
  let rest = depth - FRAME - sum(VISIBLE);
  if (rest < 0) throw new RangeError(`${depth} tokens are fewer than frame and visible segments`);
  for (let index = 0; rest > 0; index++) {
    const length = Math.min(rest, LENGTHS[index % LENGTHS.length] ?? rest);
    coarse.push(length);
    rest -= length;
  }
  return { exact: [FRAME], wave: VISIBLE, coarse };
}

/** The same depth with everything attended exactly. */
export function exactPlan(depth: number): Plan {
  const exact = [FRAME];
  for (let rest = depth - FRAME; rest > 0; rest -= LONGEST) exact.push(Math.min(rest, LONGEST));
  return { exact, wave: [], coarse: [] };
}

export interface PlannedSegment {
  detail: keyof Plan;
  tokens: number;
  /** File name; plans share a file where detail, place and length are the same. */
  name: string;
}

export function segmentsOf(plan: Plan): PlannedSegment[] {
  return (['exact', 'wave', 'coarse'] as const).flatMap((detail) =>
    plan[detail].map((tokens, index) => ({ detail, tokens, name: `${detail}-${index}-${tokens}` })),
  );
}

export function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
