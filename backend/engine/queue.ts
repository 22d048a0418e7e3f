import { UserError } from '../errors.ts';

type Job = () => Promise<void>;

/**
 * Runs one piece of work after another, in the order of asking; spare work only while nothing else is to be done, and
 * first that which somebody waits for before other work can begin.
 */
export class Queue {
  readonly #waiting: Job[] = [];
  readonly #awaited: Job[] = [];
  readonly #spare: Job[] = [];
  /** The spare work that runs now; interrupted, it goes back to the head of its line. */
  #interruptible: { line: Job[]; interruption: AbortController } | undefined;
  #running: Promise<void> | undefined;

  /** Waits for its turn, then works. Cancelled while waiting, it is given up at once. */
  async run<R>(signal: AbortSignal, work: () => Promise<R>): Promise<R> {
    return new Promise<R>((resolve, reject) => {
      const stopWaiting = abandonable(signal, reject);
      this.#waiting.push(async () => {
        stopWaiting();
        if (!signal.aborted) await work().then(resolve, reject);
      });
      this.#interruptible?.interruption.abort();
      this.#start();
    });
  }

  /**
   * Works while there is nothing else to do. Whatever else comes cancels `work`, which begins again afterwards: it
   * must find what it has done already.
   * @param isAwaited by a question: it goes before other spare work
   */
  async spare<R>(
    signal: AbortSignal,
    work: (signal: AbortSignal) => Promise<R>,
    { isAwaited = false } = {},
  ): Promise<R> {
    const line = isAwaited ? this.#awaited : this.#spare;
    return new Promise<R>((resolve, reject) => {
      const attempt = async (stopWaiting: () => void) => {
        stopWaiting();
        if (signal.aborted) return;
        const interruption = new AbortController();
        this.#interruptible = { line, interruption };
        await work(AbortSignal.any([signal, interruption.signal])).then(resolve, (error: Error) => {
          if (interruption.signal.aborted && !signal.aborted) enqueue('unshift');
          else reject(error);
        });
        this.#interruptible = undefined;
      };
      const enqueue = (where: 'push' | 'unshift') => {
        const stopWaiting = abandonable(signal, reject);
        line[where](() => attempt(stopWaiting));
      };
      enqueue('push');
      if (isAwaited && this.#interruptible?.line === this.#spare) this.#interruptible.interruption.abort();
      this.#start();
    });
  }

  /** Resolves when all work asked for so far is done. */
  async idle(): Promise<void> {
    await this.#running;
  }

  #start(): void {
    this.#running ??= this.#work();
  }

  async #work(): Promise<void> {
    // What is asked for in the same turn is there before spare work begins.
    await Promise.resolve();
    for (;;) {
      const job = this.#waiting.shift() ?? this.#awaited.shift() ?? this.#spare.shift();
      if (!job) break;
      await job();
    }
    // In the same turn as the last look: what comes after it must start anew.
    this.#running = undefined;
  }
}

/** Rejects as soon as the signal fires, until the returned function is called. */
function abandonable(signal: AbortSignal, reject: (error: Error) => void): () => void {
  const giveUp = () => reject(new UserError('cancelled', 'Cancelled.'));
  if (signal.aborted) giveUp();
  else signal.addEventListener('abort', giveUp, { once: true });
  return () => signal.removeEventListener('abort', giveUp);
}
