/** Finds the sentences of a text while it is being written. */

/** A range of characters. */
export interface Range {
  start: number;
  end: number;
}

/** The end of a line, or of a sentence before white space: `main.ts` and `1.5` go on. */
const boundary = /[.!?]["'”’)\]*_`]*(?=\s)|\n/gu;
const fence = /^\s*```[^\n]*\n(?:[\s\S]*?\n)??[ \t]*```[ \t]*(?=\n)/u;
const openFence = /^\s*```/u;

/**
 * Gives out each sentence as soon as it is known to be complete: at the white space behind it. A line of a list is a
 * sentence too, and a block of code is one as a whole. What holds no letter belongs to the next one.
 */
export class Sentences {
  #text = '';
  #start = 0;

  /** Takes the next piece of the text; returns the range that it completed, of all sentences if there are several. */
  push(piece: string): Range | undefined {
    this.#text += piece;
    // Only white space completes anything, and looking is not free.
    if (!/\s/u.test(piece)) return undefined;
    const start = this.#start;
    for (;;) {
      const length = firstSentence(this.#text.slice(this.#start));
      if (length === 0) break;
      this.#start += length;
    }
    return this.#start > start ? this.#trimmed(start, this.#start) : undefined;
  }

  /** What is left at the end of the text. */
  end(): Range | undefined {
    const range = this.#trimmed(this.#start, this.#text.length);
    return range.start < range.end ? range : undefined;
  }

  #trimmed(start: number, end: number): Range {
    const text = this.#text.slice(start, end);
    return { start: end - text.trimStart().length, end: start + text.trimEnd().length };
  }
}

/** Length of the first sentence that is complete, 0 when there is none yet. */
function firstSentence(text: string): number {
  if (openFence.test(text)) return fence.exec(text)?.[0].length ?? 0;
  for (const { index, 0: found } of text.matchAll(boundary)) {
    const length = index + found.length;
    if (/\p{L}/u.test(text.slice(0, length))) return length;
  }
  return 0;
}
