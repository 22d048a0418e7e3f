/**
 * Which segments share the question's words: BM25+ over identifiers, as a whole and by their parts. The words of each
 * document are kept on their own, and looked up in all of them for a question: an edit then costs the words of one
 * file, and opening an index nothing.
 */
import { stemmer } from 'stemmer';
import { eng, removeStopwords } from 'stopword';
import { hashOf, holds, packWords, unpackWords, type PackedWords, type Words } from './words.ts';

/** A file, or the part of one that is in one segment. */
export interface Document {
  segment: number;
  path: string;
  text: string;
}

/** The same with its words alone: those of the path, and those of the text. */
export interface IndexedDocument {
  segment: number;
  path: string;
  words: DocumentWords;
}
export type DocumentWords = [path: PackedWords, text: PackedWords];

/** Indexes of segments, and paths, best first; only what shares a word with the query is there. */
export interface LexicalRanking {
  segments: number[];
  paths: string[];
}

/** What questions are phrased with tells nothing about where the answer lies. */
const questionWords = [...eng, 'file', 'files', 'function', 'functions', 'code', 'repository'];

/** Of a word in the path against one in the text. */
const boosts = [2, 1] as const;
/** Of BM25+: how soon more of the same word counts no more, how much length counts, and what any occurrence is worth. */
const [k, b, d] = [1.2, 0.7, 0.5];

/** The words of a document in the form in which they are kept. */
export function wordsOf(path: string, text: string): DocumentWords {
  return [packWords(terms(path), stemmed), packWords(terms(text), stemmed)];
}

const stems = new Map<string, number>();
/** Most words come again and again. */
const mostStems = 1 << 16;

function stemmed(term: string): number {
  let hash = stems.get(term);
  if (hash === undefined) {
    hash = hashOf(stemmer(term));
    if (stems.size >= mostStems) stems.clear();
    stems.set(term, hash);
  }
  return hash;
}

interface Entry {
  segment: number;
  path: string;
  fields: [path: Words, text: Words];
}
type Scores = Map<Entry, number>;

/** The ranking of one snapshot's files and segments. */
export class LexicalIndex {
  readonly #entries: Entry[];
  readonly #meanLengths: number[];
  /** By the hash of a term: looked up once for all that is asked about a question. */
  readonly #known = new Map<number, Scores>();

  constructor(documents: Iterable<IndexedDocument>) {
    this.#entries = [...documents].map(({ segment, path, words: [ofPath, ofText] }) => {
      return { segment, path, fields: [unpackWords(ofPath), unpackWords(ofText)] };
    });
    this.#meanLengths = boosts.map((_, field) => {
      const total = this.#entries.reduce((sum, { fields }) => sum + fields[field]!.length, 0);
      return total / this.#entries.length;
    });
  }

  static build(documents: Iterable<Document>): LexicalIndex {
    return new LexicalIndex(
      [...documents].map(({ segment, path, text }) => ({ segment, path, words: wordsOf(path, text) })),
    );
  }

  /** By any of the words; those that only phrase a question do not count. */
  rank(question: string): LexicalRanking {
    const scores: Scores = new Map();
    const matches = new Map<Entry, Set<number>>();
    for (const term of removeStopwords(terms(question), questionWords).map(stemmed)) {
      for (const [entry, score] of this.#score(term)) {
        scores.set(entry, (scores.get(entry) ?? 0) + score);
        const found = matches.get(entry);
        if (found) found.add(term);
        else matches.set(entry, new Set([term]));
      }
    }
    // Several of the words say more than one of them often.
    for (const [entry, score] of scores) scores.set(entry, score * matches.get(entry)!.size);
    return ranking(scores);
  }

  /** By all of the words: where a name occurs. */
  holders(name: string): LexicalRanking {
    const [first, ...others] = terms(name).map((term) => this.#score(stemmed(term)));
    let scores = first ?? new Map<Entry, number>();
    for (const other of others) {
      const both = [...other].filter(([entry]) => scores.has(entry));
      scores = new Map(both.map(([entry, score]) => [entry, scores.get(entry)! + score]));
    }
    return ranking(scores);
  }

  #score(term: number): Scores {
    const known = this.#known.get(term);
    if (known) return known;
    const scores: Scores = new Map();
    boosts.forEach((boost, field) => {
      const found = this.#entries.flatMap((entry) => {
        const count = holds(entry.fields[field]!, term);
        return count > 0 ? [{ entry, count, length: entry.fields[field]!.length }] : [];
      });
      const rarity = Math.log(1 + (this.#entries.length - found.length + 0.5) / (found.length + 0.5));
      for (const { entry, count, length } of found) {
        const damped = count + k * (1 - b + (b * length) / this.#meanLengths[field]!);
        const score = boost * rarity * (d + (count * (k + 1)) / damped);
        scores.set(entry, (scores.get(entry) ?? 0) + score);
      }
    });
    this.#known.set(term, scores);
    return scores;
  }
}

function ranking(scores: Scores): LexicalRanking {
  const entries = [...scores].sort(([, a], [, b]) => b - a).map(([entry]) => entry);
  return {
    segments: [...new Set(entries.map(({ segment }) => segment))],
    paths: [...new Set(entries.map(({ path }) => path))],
  };
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
