import type { Store } from '../context/store.ts';
import type { NativeAddon, NativeSegment } from './native.ts';

/** The stored segments that are open. They stay open between questions: what was read of them then stays in memory. */
export class Shelf {
  readonly #open = new Map<string, NativeSegment>();

  constructor(
    private readonly addon: NativeAddon,
    private readonly store: Store,
  ) {}

  /** The segment, undefined when it is not (or not whole) in the store. */
  async get(hash: string, tokens: number): Promise<NativeSegment | undefined> {
    const known = this.#open.get(hash);
    if (known) return known;
    const segment = await this.store.open(this.addon, hash, tokens);
    if (segment) this.#open.set(hash, segment);
    return segment;
  }

  /** Closes all others. No session may look at them any more. */
  keepOnly(hashes: Set<string>): void {
    for (const [hash, segment] of this.#open) {
      if (hashes.has(hash)) continue;
      segment.close();
      this.#open.delete(hash);
    }
  }
}
