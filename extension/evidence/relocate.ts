/** Where the lines that an answer was read from are now. Pure. */

/** Lines from 1, both ends included. */
export interface Lines {
  startLine: number;
  endLine: number;
}

/** `edited`: these are no more the lines that were read, but what has become of them. */
export interface Located extends Lines {
  edited: boolean;
}

/**
 * Finds the lines of a text in a later state of it: in front of or behind all that has changed, or in between when
 * they are there once, word for word. Undefined when nothing is left of them.
 */
export function relocate(
  before: readonly string[],
  after: readonly string[],
  lines: Lines,
): Located | undefined {
  const { startLine, endLine } = lines;
  if (startLine > before.length) return undefined;
  const shortest = Math.min(before.length, after.length);
  let head = 0;
  while (head < shortest && before[head] === after[head]) head++;
  let tail = 0;
  while (tail < shortest - head && before.at(-1 - tail) === after.at(-1 - tail)) tail++;

  const moved = after.length - before.length;
  if (endLine <= head) return { startLine, endLine, edited: false };
  if (startLine > before.length - tail) {
    return { startLine: startLine + moved, endLine: endLine + moved, edited: false };
  }
  const again = onlyOccurrence(after, before.slice(startLine - 1, endLine));
  if (again !== undefined) {
    return { startLine: again + 1, endLine: again + 1 + endLine - startLine, edited: false };
  }
  // What is known of one end holds for the other; between edits it is where it was, give or take what they added.
  const behind = endLine > before.length - tail;
  const end = behind ? endLine + moved : Math.min(endLine, after.length - tail);
  const start = startLine > head && behind ? Math.max(head + 1, startLine + moved) : startLine;
  return end < start ? undefined : { startLine: start, endLine: end, edited: true };
}

/** Index of the only place where `block` stands in `lines`; undefined when there is none, or more than one. */
function onlyOccurrence(lines: readonly string[], block: readonly string[]): number | undefined {
  let found: number | undefined;
  for (let at = 0; at + block.length <= lines.length; at++) {
    if (!block.every((line, i) => lines[at + i] === line)) continue;
    if (found !== undefined) return undefined;
    found = at;
  }
  return found;
}
