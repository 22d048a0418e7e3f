/**
 * A cache of clusters in pages, the specification of native/wave/block_cache, and the replacement policies that `replay`
 * compared for it. Plain code, no memory behind it.
 */

/** A cluster: its key, and the pages that it takes. */
export interface Item {
  key: number;
  pages: number;
}

/** Decides which cluster goes. It is told of every cluster that comes, is used again, or goes for other reasons. */
export interface Policy {
  admitted(item: Item): void;
  used(key: number): void;
  removed(key: number): void;
  /** Takes out the next cluster to go, none that is pinned; undefined when all are. */
  victim(isPinned: (key: number) => boolean): number | undefined;
}

/** Keys with their pages, the oldest first. */
class Queue {
  readonly items = new Map<number, number>();
  pages = 0;

  push(key: number, pages: number): void {
    this.items.set(key, pages);
    this.pages += pages;
  }
  /** @returns its pages */
  remove(key: number): number {
    const pages = this.items.get(key)!;
    this.items.delete(key);
    this.pages -= pages;
    return pages;
  }
  has(key: number): boolean {
    return this.items.has(key);
  }
  oldest(): number | undefined {
    return this.items.keys().next().value;
  }
  /** Takes out the oldest that is not pinned; a pinned one counts as just used. */
  takeOldest(isPinned: (key: number) => boolean): number | undefined {
    for (let left = this.items.size; left > 0; left--) {
      const key = this.oldest()!;
      const pages = this.remove(key);
      if (!isPinned(key)) return key;
      this.push(key, pages);
    }
    return undefined;
  }
}

/** Least recently used. */
export function lru(): Policy {
  const queue = new Queue();
  return {
    admitted: ({ key, pages }) => queue.push(key, pages),
    used: (key) => queue.push(key, queue.remove(key)),
    removed: (key) => void queue.remove(key),
    victim: (isPinned) => queue.takeOldest(isPinned),
  };
}

/**
 * Segmented LRU (Karedla, Love and Wherry, 1994): what was used once is on probation, what was used again is protected
 * as long as it is among the most recent of those, and everything on probation goes first.
 */
export function segmentedLru(capacity: number, share = 0.8): Policy {
  const [probation, guarded] = [new Queue(), new Queue()];
  return {
    admitted: ({ key, pages }) => probation.push(key, pages),
    used(key) {
      guarded.push(key, (guarded.has(key) ? guarded : probation).remove(key));
      while (guarded.pages > capacity * share) {
        const last = guarded.oldest()!;
        probation.push(last, guarded.remove(last));
      }
    },
    removed: (key) => void (guarded.has(key) ? guarded : probation).remove(key),
    victim: (isPinned) => probation.takeOldest(isPinned) ?? guarded.takeOldest(isPinned),
  };
}

/**
 * S3-FIFO (Yang et al., SOSP 2023, algorithm 1): a small queue through which everything comes, a main one for what was
 * used again while in the small one or soon after it left that, each first in, first out.
 */
export function s3Fifo(capacity: number, share = 0.1): Policy {
  const [small, main] = [new Queue(), new Queue()];
  const uses = new Map<number, number>();
  const ghosts = new Map<number, number>();
  let ghostPages = 0;
  const addGhost = (key: number, pages: number) => {
    ghosts.set(key, pages);
    ghostPages += pages;
    for (const [old, its] of ghosts) {
      if (ghostPages <= capacity * (1 - share)) break;
      ghosts.delete(old);
      ghostPages -= its;
    }
  };
  const fromSmall = (isPinned: (key: number) => boolean): number | undefined => {
    for (let left = small.items.size; left > 0; left--) {
      const key = small.oldest()!;
      const pages = small.remove(key);
      if (isPinned(key)) small.push(key, pages);
      else if (uses.get(key)! > 1) {
        main.push(key, pages);
        uses.set(key, 0);
      } else {
        addGhost(key, pages);
        return key;
      }
    }
    return undefined;
  };
  const fromMain = (isPinned: (key: number) => boolean): number | undefined => {
    for (let left = main.items.size * 4; left > 0; left--) {
      const key = main.oldest()!;
      const pages = main.remove(key);
      if (!isPinned(key) && uses.get(key) === 0) return key;
      if (!isPinned(key)) uses.set(key, uses.get(key)! - 1);
      main.push(key, pages);
    }
    return undefined;
  };
  return {
    admitted({ key, pages }) {
      const ghost = ghosts.get(key);
      if (ghost !== undefined) {
        ghosts.delete(key);
        ghostPages -= ghost;
      }
      (ghost === undefined ? small : main).push(key, pages);
      uses.set(key, 0);
    },
    used: (key) => void uses.set(key, Math.min(3, uses.get(key)! + 1)),
    removed(key) {
      (small.has(key) ? small : main).remove(key);
      uses.delete(key);
    },
    victim(isPinned) {
      const first = small.pages >= capacity * share ? [fromSmall, fromMain] : [fromMain, fromSmall];
      const key = first[0]!(isPinned) ?? first[1]!(isPinned);
      if (key !== undefined) uses.delete(key);
      return key;
    },
  };
}

/** Which items of a list were there, were read, and found no room. */
export type Outcome = 'hit' | 'read' | 'noRoom';

export class PagedCache {
  private readonly resident = new Map<number, number>();
  private readonly pinned = new Set<number>();
  private used = 0;

  constructor(
    private readonly capacity: number,
    private readonly policy: Policy,
  ) {}

  /** What earlier steps used is no longer pinned. */
  beginStep(): void {
    this.pinned.clear();
  }

  /**
   * First all that are there are used, in the order of the list; then the others are read, in the same order, until one
   * finds no room.
   */
  acquire(items: readonly Item[]): Outcome[] {
    const outcomes: Outcome[] = items.map(({ key }) => (this.resident.has(key) ? 'hit' : 'noRoom'));
    items.forEach(({ key }, i) => {
      if (outcomes[i] !== 'hit') return;
      this.policy.used(key);
      this.pinned.add(key);
    });
    for (const [i, item] of items.entries()) {
      if (outcomes[i] === 'hit') continue;
      if (!this.makeRoom(item.pages)) break;
      this.resident.set(item.key, item.pages);
      this.used += item.pages;
      this.policy.admitted(item);
      this.pinned.add(item.key);
      outcomes[i] = 'read';
    }
    return outcomes;
  }

  private makeRoom(pages: number): boolean {
    while (this.capacity - this.used < pages) {
      const key = this.policy.victim((one) => this.pinned.has(one));
      if (key === undefined) return false;
      this.used -= this.resident.get(key)!;
      this.resident.delete(key);
    }
    return true;
  }
}

/** Per step the lists that the layers and heads ask for. @returns the share of clusters that were there */
export function replay(trace: Iterable<readonly Item[][]>, capacity: number, policy: Policy): number {
  const cache = new PagedCache(capacity, policy);
  let [hits, all] = [0, 0];
  for (const step of trace) {
    cache.beginStep();
    for (const items of step) {
      const outcomes = cache.acquire(items);
      hits += outcomes.filter((outcome) => outcome === 'hit').length;
      all += outcomes.length;
    }
  }
  return hits / all;
}
