/**
 * Retrieval-augmented answers as llama.vscode makes them: pieces of at most 40 lines and 800 characters, the 47 best by
 * BM25, of these the five most similar by embedding, or without an embedding model the five best, before the question,
 * and nothing else of the repository. (It asks the model for search words first; here the question has them.)
 */
import MiniSearch from 'minisearch';
import { templateOf, tokenizeParts } from '../../backend/context/assemble.ts';
import { terms } from '../../backend/context/lexical.ts';
import { headerOf } from '../../backend/repo/segment.ts';
import { readText } from '../../backend/repo/text.ts';
import { bySimilarity, type Embedder } from './embedder.ts';
import type { Lab } from './lab.ts';

const limits = { lines: 40, characters: 800, line: 300, candidates: 47, pieces: 5 };

interface Piece {
  id: number;
  path: string;
  text: string;
}

export class Pieces {
  readonly #index = new MiniSearch<Piece>({
    fields: ['path', 'text'],
    storeFields: ['path', 'text'],
    tokenize: terms,
  });

  private constructor(private readonly lab: Lab) {}

  static async of(lab: Lab): Promise<Pieces> {
    const pieces = new Pieces(lab);
    let id = 0;
    for (const { path } of await lab.files())
      for (const text of piecesOf(await readText(lab.options.tree, path)))
        pieces.#index.add({ id: id++, path, text });
    return pieces;
  }

  /** What stands before a question, and the files it is from. */
  async before(question: string, embedder?: Embedder): Promise<{ tokens: Int32Array; paths: string[] }> {
    const ranked = this.#index.search(question) as unknown as Piece[];
    const found = embedder ? await mostSimilar(embedder, question, ranked) : ranked.slice(0, limits.pieces);
    const { model } = this.lab.runner;
    const tokens = await tokenizeParts(model, [
      { text: templateOf(model).head, special: true },
      { text: found.map(({ path, text }) => `${headerOf(path)}${text}\n\n`).join(''), special: false },
    ]);
    return { tokens, paths: [...new Set(found.map(({ path }) => path))] };
  }
}

async function mostSimilar(embedder: Embedder, question: string, ranked: Piece[]): Promise<Piece[]> {
  const candidates = ranked.slice(0, limits.candidates);
  const [query, ...vectors] = await embedder.embed([question, ...candidates.map(({ text }) => text)]);
  return bySimilarity(query!, vectors)
    .slice(0, limits.pieces)
    .map((index) => candidates[index]!);
}

/** Whole lines, of which very long ones are cut. */
export function piecesOf(text: string): string[] {
  const pieces: string[] = [];
  let lines: string[] = [];
  let characters = 0;
  const end = () => {
    if (lines.some((line) => line.trim() !== '')) pieces.push(lines.join('\n'));
    [lines, characters] = [[], 0];
  };
  for (const line of text.split('\n').map((whole) => whole.slice(0, limits.line))) {
    if (lines.length === limits.lines || characters + line.length > limits.characters) end();
    lines.push(line);
    characters += line.length + 1;
  }
  end();
  return pieces;
}
