/**
 * Which segments a question is about. Whole-repository attention at full weight drowns in similar text, so the few
 * segments that share the question's words keep their weight and the others are turned down (not off).
 */
import MiniSearch from 'minisearch';
import { stemmer } from 'stemmer';
import { eng, removeStopwords } from 'stopword';

/** Segments at full weight. */
const visible = 4;
/** Files named to the model before the question. */
const named = 4;
/** Added to the attention logits of all others. */
export const backgroundBias = -4;

/** A file, or the part of one that is in one segment. */
export interface FocusDocument {
  segment: number;
  path: string;
  text: string;
}

/** What a question is most likely about, best first. */
export interface Focus {
  /** Indexes of segments. */
  segments: number[];
  paths: string[];
}

/** What questions are phrased with tells nothing about where the answer lies. */
const questionWords = [...eng, 'file', 'files', 'function', 'functions', 'code', 'repository'];

const options = {
  fields: ['path', 'text'],
  storeFields: ['segment', 'path'],
  tokenize: terms,
  processTerm: stemmer,
  searchOptions: { boost: { path: 2 } },
};

type Indexed = FocusDocument & { id: number };

/** The ranking of one snapshot's files and segments. */
export class FocusIndex {
  readonly #index: MiniSearch<Indexed>;

  private constructor(index: MiniSearch<Indexed>) {
    this.#index = index;
  }

  static build(documents: Iterable<FocusDocument>): FocusIndex {
    const index = new MiniSearch<Indexed>(options);
    let id = 0;
    for (const document of documents) index.add({ ...document, id: id++ });
    return new FocusIndex(index);
  }

  static parse(json: string): FocusIndex {
    return new FocusIndex(MiniSearch.loadJSON<Indexed>(json, options));
  }

  serialize(): string {
    return JSON.stringify(this.#index);
  }

  /** Nothing is in focus when the question shares no word with the repository. */
  rank(question: string): Focus {
    const tokenize = (text: string) => removeStopwords(terms(text), questionWords);
    const hits = this.#index.search(question, { tokenize });
    return {
      segments: first(visible, hits, (hit) => hit.segment as number),
      paths: first(named, hits, (hit) => hit.path as string),
    };
  }
}

/** The first few different values. */
function first<T, V>(count: number, items: T[], valueOf: (item: T) => V): V[] {
  return [...new Set(items.map(valueOf))].slice(0, count);
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
