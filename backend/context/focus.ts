/**
 * Which segments a question is about. Whole-repository attention at full weight drowns in similar text, so the few
 * segments that share the question's words keep their weight and the others are turned down (not off).
 */
import MiniSearch from 'minisearch';
import { stemmer } from 'stemmer';
import { eng, removeStopwords } from 'stopword';

/** Segments at full weight. */
const visible = 4;
/** Added to the attention logits of all others. */
export const backgroundBias = -4;

export interface FocusDocument {
  id: number;
  /** Paths of the files in the segment, one a line. */
  path: string;
  text: string;
}

/** What questions are phrased with tells nothing about where the answer lies. */
const questionWords = [...eng, 'file', 'files', 'function', 'functions', 'code', 'repository'];

const options = {
  fields: ['path', 'text'],
  tokenize: terms,
  processTerm: stemmer,
  searchOptions: { boost: { path: 2 } },
};

/** The ranking of one snapshot's segments. */
export class FocusIndex {
  readonly #index: MiniSearch<FocusDocument>;

  private constructor(index: MiniSearch<FocusDocument>) {
    this.#index = index;
  }

  static build(documents: Iterable<FocusDocument>): FocusIndex {
    const index = new MiniSearch<FocusDocument>(options);
    for (const document of documents) {
      // The list of all paths shares a word with every question, and would take a place from what it lists.
      if (document.path !== '') index.add(document);
    }
    return new FocusIndex(index);
  }

  static parse(json: string): FocusIndex {
    return new FocusIndex(MiniSearch.loadJSON<FocusDocument>(json, options));
  }

  serialize(): string {
    return JSON.stringify(this.#index);
  }

  /** Ids of the segments that the question is most likely about, best first. */
  rank(question: string): number[] {
    return this.#index
      .search(question, { tokenize: (text) => removeStopwords(terms(text), questionWords) })
      .slice(0, visible)
      .map((hit) => hit.id as number);
  }
}

/** Lower-case words, and for identifiers both their parts and the whole: `readFile` is read, file, readfile. */
export function terms(text: string): string[] {
  const found: string[] = [];
  for (const [word] of text.matchAll(/[\p{L}_$][\p{L}\p{N}_$]*|\p{N}+/gu)) {
    const parts = word.match(/\p{Lu}+(?!\p{Ll})|\p{Lu}?[\p{Ll}\p{Lo}]+|\p{N}+/gu) ?? [];
    if (parts.length !== 1) found.push(word.toLowerCase());
    for (const part of parts) found.push(part.toLowerCase());
  }
  return found;
}
