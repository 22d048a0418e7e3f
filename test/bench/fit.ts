/** What llama.cpp takes at a depth that is too slow to measure: its attention costs the same for every token. */

export interface Line {
  /** At 0. */
  start: number;
  slope: number;
}

/** The line with the least squares through points of two different x at least. */
export function fitLine(points: readonly (readonly [x: number, y: number])[]): Line {
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [centreX, centreY] = [mean(points.map(([x]) => x)), mean(points.map(([, y]) => y))];
  const spread = points.reduce((sum, [x]) => sum + (x - centreX) ** 2, 0);
  if (!(spread > 0)) throw new RangeError('a line needs two different points');
  const slope = points.reduce((sum, [x, y]) => sum + (x - centreX) * (y - centreY), 0) / spread;
  return { start: centreY - slope * centreX, slope };
}

/**
 * Tokens per second at another depth, the time per token being a line over the depth.
 * @param measured [depth, tokens per second]
 */
export function extrapolatedSpeed(measured: readonly (readonly [number, number])[], depth: number): number {
  const { start, slope } = fitLine(measured.map(([x, speed]) => [x, 1 / speed] as const));
  return 1 / (start + slope * depth);
}
