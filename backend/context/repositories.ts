/** The store as its users see it: by repository and model. Pure. */
import type { StoredRepository } from '../protocol.ts';
import type { Inventory, StoredState } from './inventory.ts';

/** The most recently used first. */
export function repositoriesIn({ segments, states }: Inventory): StoredRepository[] {
  const bytesOf = new Map(segments.map(({ hash, bytes }) => [hash, bytes]));
  const groups = new Map<string, StoredState[]>();
  for (const state of [...states].sort((a, b) => b.usedMs - a.usedMs)) {
    const key = JSON.stringify([state.manifest.root, state.manifest.model]);
    const group = groups.get(key);
    if (group) group.push(state);
    else groups.set(key, [state]);
  }
  return [...groups.values()].map((group) => describe(group, bytesOf));
}

/** @param group the states of one repository, the latest first */
function describe(group: StoredState[], bytesOf: ReadonlyMap<string, number>): StoredRepository {
  const { manifest, usedMs } = group[0]!;
  const latest = [manifest.frame, ...manifest.segments];
  const stored = new Set(
    group
      .flatMap((state) => [state.manifest.frame, ...state.manifest.segments].map(({ hash }) => hash))
      .filter((hash) => bytesOf.has(hash)),
  );
  const tokensOf = (parts: typeof latest) => parts.reduce((sum, { tokens }) => sum + tokens, 0);
  return {
    root: manifest.root,
    model: manifest.model,
    tokens: tokensOf(latest),
    storedTokens: tokensOf(latest.filter(({ hash }) => stored.has(hash))),
    states: group.length,
    segments: stored.size,
    bytes: [...stored].reduce((sum, hash) => sum + bytesOf.get(hash)!, 0),
    usedMs,
  };
}
