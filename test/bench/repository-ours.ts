/**
 * Reads a repository as the product does, in a process of its own and into an empty store:
 * `node --import tsx repository-ours.ts REPOSITORY_MEASUREMENT` prints a {@link RepositoryResult}.
 */
import { takeSnapshot, scanTree } from '../../backend/context/snapshot.ts';
import { Store } from '../../backend/context/store.ts';
import { Runner } from '../../backend/engine/engine.ts';
import { loadAddon } from '../../backend/engine/native.ts';
import { prefill } from '../../backend/engine/prefill.ts';
import type { PrefillReport } from '../../backend/protocol.ts';
import { sum } from './plan.ts';

export interface RepositoryMeasurement {
  repo: string;
  /** Files are taken in order until they hold about so many tokens. */
  tokens: number;
  /** Segments are left out evenly until about so many tokens are prefilled beside the frame. */
  sample: number;
  /** An empty folder. */
  store: string;
  threads: number;
  model: string;
}

export interface RepositoryResult extends PrefillReport {
  /** Of the files taken, with the frame; and how many segments they make. */
  repositoryTokens: number;
  segments: number;
  prefilledSegments: number;
  indexBytes: number;
  kvBytes: number;
}

async function main(measurement: RepositoryMeasurement): Promise<void> {
  const { signal } = new AbortController();
  const addon = loadAddon();
  const model = await addon.loadModel(measurement.model, () => undefined);
  const session = addon.createSession(model, { threads: measurement.threads, batch: 1_024 });
  const runner = new Runner(addon, model, session, new Store(measurement.store, 'bench'), 'bench');
  const selection = { root: measurement.repo, include: [], exclude: [] };
  const { files } = await scanTree(measurement.store, selection, signal, () => undefined);
  const snapshot = await takeSnapshot(runner.store, model, selection, firstFiles(files, measurement.tokens), {
    signal,
    onRead: () => undefined,
  });
  const all = snapshot.segments;
  const segments = evenly(all, measurement.sample);
  const report = await prefill(runner, { ...snapshot, segments }, { signal, report: () => undefined });
  const stored = await Promise.all(segments.map(({ hash, tokens }) => runner.shelf.get(hash, tokens)));
  const result: RepositoryResult = {
    ...report,
    repositoryTokens: snapshot.frame.content.length + sum(all.map(({ tokens }) => tokens)),
    segments: all.length,
    prefilledSegments: segments.length,
    indexBytes: sum(stored.map((segment) => segment?.indexBytes ?? 0)),
    kvBytes: sum(stored.map((segment) => segment?.bytes ?? 0)),
  };
  runner.close();
  process.stdout.write(`${JSON.stringify(result)}\n`);
}

/** Code has about three and a half bytes per token; the exact number is in the result. */
function firstFiles<F extends { bytes: number }>(files: F[], tokens: number): F[] {
  let bytes = 0;
  const end = files.findIndex((file) => (bytes += file.bytes) > tokens * 3.5);
  return end < 0 ? files : files.slice(0, Math.max(1, end));
}

function evenly<S extends { tokens: number }>(segments: S[], tokens: number): S[] {
  const step = Math.max(1, Math.ceil(sum(segments.map((segment) => segment.tokens)) / tokens));
  return segments.filter((_, index) => index % step === 0);
}

void main(JSON.parse(process.argv[2] ?? '') as RepositoryMeasurement);
