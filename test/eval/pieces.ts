/**
 * Retrieval-augmented answers as llama.vscode makes them where no embedding server is set up: pieces of at most 40 lines
 * and 800 characters, the five best by BM25 before the question, and nothing else of the repository.
 */
import MiniSearch from 'minisearch';
import { templateOf, tokenizeParts } from '../../backend/context/assemble.ts';
import { terms } from '../../backend/context/lexical.ts';
import { headerOf } from '../../backend/repo/segment.ts';
import { readText } from '../../backend/repo/text.ts';
import type { Lab } from './lab.ts';

const limits = { lines: 40, characters: 800, line: 300, pieces: 5 };

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
  async before(question: string): Promise<{ tokens: Int32Array; paths: string[] }> {
    const found = this.#index.search(question).slice(0, limits.pieces) as unknown as Piece[];
    const { model } = this.lab.runner;
    const tokens = await tokenizeParts(model, [
      { text: templateOf(model).head, special: true },
      { text: found.map(({ path, text }) => `${headerOf(path)}${text}\n\n`).join(''), special: false },
    ]);
    return { tokens, paths: [...new Set(found.map(({ path }) => path))] };
  }
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
