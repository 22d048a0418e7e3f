/**
 * Fills the store with K/V that no model has computed, for a repository as the product would read it:
 * `node --import tsx fill-ours.ts FILL` prints a {@link Filled} as its last line. Stopped, it goes on the next time.
 */
import path from 'node:path';
import { identityOf } from '../../backend/context/identity.ts';
import { scanTree, takeSnapshot, type SnapshotSegment } from '../../backend/context/snapshot.ts';
import { Store } from '../../backend/context/store.ts';
import { Runner } from '../../backend/engine/engine.ts';
import { loadAddon } from '../../backend/engine/native.ts';
import { prefill } from '../../backend/engine/prefill.ts';
import { ensureModel, modelsDirectory } from '../../backend/models/download.ts';
import { sum } from './plan.ts';
import { makeSegments } from './synthetic.ts';

export interface Fill {
  repo: string;
  store: string;
  /** An id of the catalogue or a path. */
  model: string;
  /**
   * Tokens that are really read; the others get runs of these at random, each at its own place. With none all K/V is
   * random, in clusters.
   */
  sample: number;
  threads: number;
}

export interface Filled {
  /** With the frame. */
  tokens: number;
  segments: number;
  realSegments: number;
}

/** Segments that are made in one go. */
const BATCH = 48;

async function main({ repo, store: root, model: idOrPath, sample, threads }: Fill): Promise<void> {
  const { signal } = new AbortController();
  const file = await ensureModel(idOrPath, { directory: modelsDirectory() });
  const addon = loadAddon();
  const model = await addon.loadModel(file.path, () => undefined);
  const session = addon.createSession(model, { threads, batch: 1_024 });
  const store = new Store(root, await identityOf(file), file.id);
  const runner = new Runner(addon, model, session, store, 'fill');
  const selection = { root: repo, include: [], exclude: [] };
  const { files } = await scanTree(root, selection, signal, () => undefined);
  const snapshot = await takeSnapshot(store, model, selection, files, { signal, onRead: () => undefined });
  const { frame, segments } = snapshot;
  const all = [...segments, { hash: frame.hash, tokens: frame.content.length }];
  const real = sample > 0 ? evenly(segments, sample) : [];
  if (sample > 0) {
    say(`reading ${real.length} of ${segments.length} segments`);
    await prefill(runner, { ...snapshot, segments: real }, { signal, report: () => undefined });
  }
  const missing = all.filter(({ hash }) => !store.has(hash));
  const folder = path.join(store.folder.directory, 'segments');
  const nameOf = async (hash: string) => path.relative(folder, await store.segmentPath(hash));
  const donors = await Promise.all(real.map(async ({ hash }) => `donor:0:${await nameOf(hash)}`));
  const kind = sample > 0 ? 'resampled' : 'whole';
  for (let done = 0; done < missing.length; done += BATCH) {
    say(`making up ${done} of ${missing.length} segments`);
    const batch = missing.slice(done, done + BATCH);
    const requests = await Promise.all(
      batch.map(async ({ hash, tokens }) => `${kind}:${tokens}:${await nameOf(hash)}`),
    );
    await makeSegments(folder, file.path, [...donors, ...requests]);
  }
  await snapshot.touch();
  runner.close();
  const tokens = sum(all.map((segment) => segment.tokens));
  const filled: Filled = { tokens, segments: segments.length, realSegments: real.length };
  process.stdout.write(`${JSON.stringify(filled)}\n`);
}

/** About so many tokens of them. */
function evenly(segments: SnapshotSegment[], tokens: number): SnapshotSegment[] {
  const step = Math.max(1, Math.ceil(sum(segments.map((segment) => segment.tokens)) / tokens));
  return segments.filter((_, index) => index % step === 0);
}

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

void main(JSON.parse(process.argv[2] ?? '') as Fill);
