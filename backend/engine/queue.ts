import { UserError } from '../errors.ts';

/** Runs one piece of work after another, in the order of asking. */
export class Queue {
  #last: Promise<unknown> = Promise.resolve();

  /** Waits for its turn, then works. Cancelled while waiting, it is given up at once. */
  async run<R>(signal: AbortSignal, work: () => Promise<R>): Promise<R> {
    return new Promise<R>((resolve, reject) => {
      const giveUp = () => reject(new UserError('cancelled', 'Cancelled.'));
      if (signal.aborted) return giveUp();
      signal.addEventListener('abort', giveUp, { once: true });
      this.#last = this.#last.then(async () => {
        signal.removeEventListener('abort', giveUp);
        if (!signal.aborted) await work().then(resolve, reject);
      });
    });
  }

  /** Resolves when all work asked for so far is done. */
  async idle(): Promise<void> {
    await this.#last;
  }
}
