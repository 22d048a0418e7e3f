/** Which segments share the question's words: BM25 over identifiers, as a whole and by their parts. */
import MiniSearch from 'minisearch';
import { stemmer } from 'stemmer';
import { eng, removeStopwords } from 'stopword';

/** A file, or the part of one that is in one segment. */
export interface Document {
  segment: number;
  path: string;
  text: string;
}

/** Indexes of segments, and paths, best first; only what shares a word with the query is there. */
export interface LexicalRanking {
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

type Indexed = Document & { id: number };

/** The ranking of one snapshot's files and segments. */
export class LexicalIndex {
  readonly #index: MiniSearch<Indexed>;

  private constructor(index: MiniSearch<Indexed>) {
    this.#index = index;
  }

  static build(documents: Iterable<Document>): LexicalIndex {
    const index = new MiniSearch<Indexed>(options);
    let id = 0;
    for (const document of documents) index.add({ ...document, id: id++ });
    return new LexicalIndex(index);
  }

  static parse(json: string): LexicalIndex {
    return new LexicalIndex(MiniSearch.loadJSON<Indexed>(json, options));
  }

  serialize(): string {
    return JSON.stringify(this.#index);
  }

  /** By any of the words; those that only phrase a question do not count. */
  rank(question: string): LexicalRanking {
    return this.#search(question, (text) => removeStopwords(terms(text), questionWords), 'OR');
  }

  /** By all of the words: where a name occurs. */
  holders(name: string): LexicalRanking {
    return this.#search(name, terms, 'AND');
  }

  #search(query: string, tokenize: (text: string) => string[], combineWith: 'AND' | 'OR'): LexicalRanking {
    const hits = this.#index.search(query, { tokenize, combineWith });
    return {
      segments: [...new Set(hits.map((hit) => hit.segment as number))],
      paths: [...new Set(hits.map((hit) => hit.path as string))],
    };
  }
}

/**
 * Lower-case words, and for identifiers both their parts and the whole: `readFile` is read, file, readfile, and
 * `cache-key` is cache, key, cache-key.
 */
export function terms(text: string): string[] {
  const found: string[] = [];
  // Found with the numbers in front of it: to look for its first letter at every place takes quadratic time.
  for (const [run] of text.matchAll(/[\p{L}\p{N}_$]+(?:-[\p{L}\p{N}_$]+)*/gu)) {
    const compound = run.replace(/^[\p{N}-]+/u, '');
    if (compound.includes('-')) found.push(compound.toLowerCase());
  }
  for (const [word] of text.matchAll(/[\p{L}_$][\p{L}\p{N}_$]*|\p{N}+/gu)) {
    const parts = word.match(/\p{Lu}+(?!\p{Ll})|\p{Lu}?[\p{Ll}\p{Lo}]+|\p{N}+/gu) ?? [];
    if (parts.length !== 1) found.push(word.toLowerCase());
    for (const part of parts) found.push(part.toLowerCase());
  }
  return found;
}
