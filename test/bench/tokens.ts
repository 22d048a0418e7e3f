export type TokenSource = (count: number) => Int32Array;

/** The same tokens in every run: a linear congruential generator, its high bits. */
export function tokenSource(vocabulary: number): TokenSource {
  let state = 1;
  return (count) =>
    Int32Array.from({ length: count }, () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return Math.floor((state / 2 ** 32) * vocabulary);
    });
}
