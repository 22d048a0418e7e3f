import type { Store } from '../context/store.ts';
import type { NativeAddon, NativeSegment } from './native.ts';

/** The stored segments that are open. They stay open between questions: what was read of them then stays in memory. */
export class Shelf {
  readonly #open = new Map<string, NativeSegment>();
  /** Mapped still, as a session may look at them, and not in the store any more. */
  readonly #vanished: NativeSegment[] = [];

  constructor(
    private readonly addon: NativeAddon,
    private readonly store: Store,
  ) {}

  /** The segment, undefined when it is not (or not whole) in the store. */
  async get(hash: string, tokens: number): Promise<NativeSegment | undefined> {
    const known = this.#open.get(hash);
    if (known && this.store.has(hash)) return known;
    if (known) {
      this.#vanished.push(known);
      this.#open.delete(hash);
    }
    const segment = await this.store.open(this.addon, hash, tokens);
    if (segment) this.#open.set(hash, segment);
    return segment;
  }

  /** Closes all others. No session may look at them any more. */
  keepOnly(hashes: Set<string>): void {
    for (const segment of this.#vanished.splice(0)) segment.close();
    for (const [hash, segment] of this.#open) {
      if (hashes.has(hash)) continue;
      segment.close();
      this.#open.delete(hash);
    }
  }
}
