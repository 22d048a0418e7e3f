/** A model as one file over https, resumed where an earlier attempt stopped. */
import { Readable } from 'node:stream';
import type { ReadableStream } from 'node:stream/web';
import { throwIfCancelled, UserError } from '../errors.ts';
import type { PartialFile } from './partial.ts';

/** Machines that cannot reach the host are to fall through to the next source soon. */
const CONNECT_MS = 5_000;
const IDLE_MS = 30_000;

/** Aborts when `kick` is not called for that long, or when the user cancels. */
class Watchdog {
  private readonly controller = new AbortController();
  readonly signal: AbortSignal;
  private timer: NodeJS.Timeout | undefined;

  constructor(cancelled: AbortSignal | undefined) {
    this.signal = AbortSignal.any([this.controller.signal, ...(cancelled ? [cancelled] : [])]);
  }

  kick(ms: number): void {
    this.stop();
    this.timer = setTimeout(() => this.controller.abort(new Error(`no answer for ${ms / 1000} s`)), ms);
  }

  stop(): void {
    clearTimeout(this.timer);
  }
}

/** How many bytes the whole file has, according to the response. */
function totalBytes(response: Response): number {
  const range = response.headers.get('content-range')?.split('/')[1];
  return Number(range ?? response.headers.get('content-length'));
}

async function readOn(
  url: string,
  file: PartialFile,
  bytes: number,
  onBytes: (bytes: number) => void,
  cancelled: AbortSignal | undefined,
): Promise<void> {
  const watchdog = new Watchdog(cancelled);
  try {
    watchdog.kick(CONNECT_MS);
    const headers = { 'accept-encoding': 'identity', range: `bytes=${file.bytes}-` };
    const response = await fetch(url, { headers, signal: watchdog.signal });
    if (!response.ok || !response.body) throw new Error(`HTTP ${response.status}`);
    if (totalBytes(response) !== bytes) throw new Error('the file there has another size');
    if (response.status !== 206) await file.restart();
    const body: AsyncIterable<Uint8Array> = Readable.fromWeb(response.body as ReadableStream);
    for await (const chunk of body) {
      watchdog.kick(IDLE_MS);
      if (file.bytes + chunk.length > bytes) throw new Error('it sends more than the file');
      await file.append(chunk);
      onBytes(file.bytes);
    }
  } finally {
    watchdog.stop();
  }
}

/**
 * Appends what is missing of the `bytes` bytes at `url` to `file`. A connection that breaks is taken up again as long
 * as each brings something. Throws `cancelled`, `noSpace`, or an `Error` that says what the server did.
 */
export async function download(
  url: string,
  file: PartialFile,
  bytes: number,
  onBytes: (bytes: number) => void,
  signal?: AbortSignal,
): Promise<void> {
  while (file.bytes < bytes) {
    const before = file.bytes;
    const failure = await readOn(url, file, bytes, onBytes, signal).then(
      () => new Error('it sends less than the file'),
      (error: unknown) => error as Error,
    );
    throwIfCancelled(signal);
    if (failure instanceof UserError || file.bytes <= before) throw failure;
  }
}
