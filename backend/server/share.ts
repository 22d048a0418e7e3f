/**
 * One backend for all windows of a user: the first one writes where it listens, and its token, into a file that only
 * its user can read. Those that are started later find it there and leave.
 */
import { once } from 'node:events';
import { chmod, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { lock } from 'proper-lockfile';
import { WebSocket } from 'ws';
import type { Handshake } from '../protocol.ts';

export type SharedHandshake = Required<Handshake>;

/** What a backend that does not answer within this time is worth. */
const answerMs = 3_000;
/** How long others may take to look, all together. */
const lockRetries = { retries: 100, minTimeout: 50, maxTimeout: 200 };

/**
 * Writes `mine` into the file, unless the backend that it names answers.
 * @returns where clients shall go: mine, or the other's
 */
export async function publish(file: string, mine: SharedHandshake): Promise<SharedHandshake> {
  await mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
  const release = await lock(file, { realpath: false, retries: lockRetries });
  try {
    const other = await read(file);
    if (other && other.protocol === mine.protocol && (await answers(other))) return other;
    const temporary = `${file}.${process.pid}`;
    await writeFile(temporary, JSON.stringify(mine), { mode: 0o600 });
    // The mode counts only for a file that is new.
    await chmod(temporary, 0o600);
    await rename(temporary, file);
    return mine;
  } finally {
    await release();
  }
}

/** Takes the file away, unless it is another's by now. */
export async function unpublish(file: string): Promise<void> {
  if ((await read(file))?.pid === process.pid) await rm(file, { force: true });
}

/** Undefined when there is none, or it is no handshake: whatever it says is tried before it is believed. */
async function read(file: string): Promise<SharedHandshake | undefined> {
  try {
    const { port, pid, protocol, token } = JSON.parse(await readFile(file, 'utf8')) as Partial<Handshake>;
    const whole = Number.isInteger(port) && Number.isInteger(pid) && typeof token === 'string';
    return whole ? ({ port, pid, protocol, token } as SharedHandshake) : undefined;
  } catch {
    return undefined;
  }
}

/** Whether a backend is there that knows the token: its number and port may have gone to others. */
async function answers({ port, token }: SharedHandshake): Promise<boolean> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}`, {
    perMessageDeflate: false,
    headers: { authorization: `Bearer ${token}` },
  });
  try {
    // Rejects on `error`, which also a refused token and the time limit end in.
    await once(socket, 'open', { signal: AbortSignal.timeout(answerMs) });
    return true;
  } catch {
    return false;
  } finally {
    socket.on('error', () => undefined);
    socket.terminate();
  }
}

/** Calls `onIdle` once no client has been there for `lingerMs`: time enough for a window to come back. */
export class Clients {
  #present = 0;
  #timer: NodeJS.Timeout | undefined;
  readonly #lingerMs: number;
  readonly #onIdle: () => void;

  constructor(lingerMs: number, onIdle: () => void) {
    this.#lingerMs = lingerMs;
    this.#onIdle = onIdle;
    this.#wait();
  }

  add(socket: WebSocket): void {
    this.#present++;
    clearTimeout(this.#timer);
    socket.once('close', () => {
      if (--this.#present === 0) this.#wait();
    });
  }

  #wait(): void {
    this.#timer = setTimeout(this.#onIdle, this.#lingerMs);
  }
}
