const LIMIT = 4;
const WINDOW_MS = 3 * 60_000;
const FIRST_DELAY_MS = 250;

/** How often, and after what pause, a backend that died is started again: 4 times in 3 minutes at most. */
export class Restarts {
  #times: number[] = [];

  /** The pause before the next restart in ms, twice as long every time, or null when it is enough. */
  next(now: number): number | null {
    this.#times = this.#times.filter((time) => now - time < WINDOW_MS);
    if (this.#times.length >= LIMIT) return null;
    this.#times.push(now);
    return FIRST_DELAY_MS * 2 ** (this.#times.length - 1);
  }

  forget(): void {
    this.#times = [];
  }
}
