/** The product as it is shipped: its bundled backend, in a process of its own, asked over the protocol. */
import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { Client } from '../../backend/client.ts';
import {
  AskRequest,
  MemoryRequest,
  TOKEN_VARIABLE,
  type AskParams,
  type AskResult,
  type Handshake,
  type Progress,
  type MemoryState,
} from '../../backend/protocol.ts';
import { at } from '../../scripts/paths.mjs';

export class Product {
  private constructor(
    private readonly child: ChildProcess,
    private readonly pid: number,
    private readonly client: Client,
  ) {}

  /** @param store where it finds what has been read */
  static async start(store: string): Promise<Product> {
    const token = randomBytes(16).toString('hex');
    const child = spawn(process.execPath, [at('dist', 'backend.mjs')], {
      env: { ...process.env, [TOKEN_VARIABLE]: token, REPOWAVE_STORE: store },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const [line] = (await once(createInterface(child.stdout), 'line')) as [string];
    const { port, pid } = JSON.parse(line) as Handshake;
    return new Product(child, pid, await Client.connect(port, token));
  }

  async ask(params: AskParams): Promise<AskResult> {
    return this.client.request(AskRequest, params);
  }

  /**
   * Asks until the first progress of this kind, then cancels.
   * @returns milliseconds from the question to that progress, and from there until the request has ended
   */
  async askUntil(
    params: AskParams,
    isEnough: (progress: Progress) => boolean,
  ): Promise<{ reachedMs: number; cancelMs: number }> {
    const enough = new AbortController();
    const askedAt = performance.now();
    let reachedAt = NaN;
    const asked = this.client.request(AskRequest, params, {
      signal: enough.signal,
      onProgress: (progress) => {
        if (enough.signal.aborted || !isEnough(progress)) return;
        reachedAt = performance.now();
        enough.abort();
      },
    });
    await asked.catch((error: unknown) => {
      if (!enough.signal.aborted) throw error;
    });
    if (!enough.signal.aborted) throw new Error('the answer ended before it could be cancelled');
    return { reachedMs: reachedAt - askedAt, cancelMs: performance.now() - reachedAt };
  }

  /** Stops the answer after so many pieces of it. */
  async askBriefly(params: AskParams, pieces: number): Promise<void> {
    let left = pieces;
    await this.askUntil(params, ({ kind }) => kind === 'text' && --left === 0);
  }

  async memory(): Promise<MemoryState> {
    return this.client.request0(MemoryRequest);
  }

  /** The most that it has had in memory. */
  peakBytes(): number {
    return 1024 * this.#proc('status', /^VmHWM:\s*(\d+)/m);
  }

  /** Bytes that it has had the disk read, which the system had not in its cache. */
  diskBytes(): number {
    return this.#proc('io', /^read_bytes: (\d+)/m);
  }

  async stop(): Promise<void> {
    this.client.close();
    this.child.stdin?.end();
    if (this.child.exitCode === null) await once(this.child, 'exit');
  }

  #proc(file: string, pattern: RegExp): number {
    return Number(pattern.exec(readFileSync(`/proc/${this.pid}/${file}`, 'utf8'))?.[1]);
  }
}

/** Works with a backend that is gone afterwards. */
export async function withProduct<R>(store: string, work: (product: Product) => Promise<R>): Promise<R> {
  const product = await Product.start(store);
  try {
    return await work(product);
  } finally {
    await product.stop();
  }
}
