/** Finds the characters of a rendered text in its Markdown. Pure. */

/** A link's address, which is not shown, is no longer than this; what is farther away is another character. */
const FARTHEST = 300;

/**
 * For each character of `rendered` its index in `source`, which holds the same characters with marks in between. White
 * space, which rendering changes, is right behind the character before it; so is what rendering has written otherwise.
 */
export function align(source: string, rendered: string): number[] {
  let next = 0;
  return Array.from({ length: rendered.length }, (_, i) => {
    const character = rendered[i] ?? '';
    const found = /\s/.test(character) ? -1 : source.indexOf(character, next);
    if (found === -1 || found - next > FARTHEST) return next;
    next = found + 1;
    return found;
  });
}
