/** What of a repository would be read, and what it costs. */
import type { Engine } from '../engine/engine.ts';
import { DEFAULT_MODEL } from '../models/catalogue.ts';
import { isPresent, modelsDirectory } from '../models/download.ts';
import type { PhaseProgress, PlanReport, RepositoryParams } from '../protocol.ts';
import { PACK_LIMITS } from '../repo/pack.ts';
import type { Scan } from '../repo/scan.ts';
import { tokenCounts } from './counts.ts';
import { loadModel } from './open.ts';
import { savingsFor } from './savings.ts';
import { scanTree, takeSnapshot, TreeChanged, type Selection, type SnapshotSegment } from './snapshot.ts';

interface Hooks {
  signal: AbortSignal;
  report: (progress: PhaseProgress) => void;
}

/**
 * Counts with the model where it is on this machine; nothing is downloaded and nothing prefilled.
 * @throws UserError
 */
export async function planContext(
  engine: Engine,
  params: RepositoryParams,
  hooks: Hooks,
): Promise<PlanReport> {
  const { signal, report } = hooks;
  const { root, include = [], exclude = [], model = DEFAULT_MODEL } = params;
  const selection: Selection = { root, include, exclude };
  const found = await scanTree(engine.storeRoot, selection, signal, (done) =>
    report({ kind: 'phase', phase: 'scan', done }),
  );
  if (!(await isPresent(model, modelsDirectory(), signal))) return reportOf(found, undefined);
  return engine.use(signal, async (signal) => {
    const { store, model: counter } = await loadModel(engine, params, { ...hooks, signal });
    const options = {
      signal,
      onRead: (done: number) => report({ kind: 'phase', phase: 'scan', done, total: found.files.length }),
      tokens: found.tokens,
    };
    const snapshot = await takeSnapshot(store, counter, selection, found.files, options).catch(unlessChanged);
    return reportOf(found, snapshot?.segments);
  });
}

/** Files that change while they are counted are estimated: the next look counts them. */
function unlessChanged(error: unknown): undefined {
  if (!(error instanceof TreeChanged)) throw error;
}

/** @param segments none while no model has counted */
function reportOf(
  { files, excluded, pinned, tokens = PACK_LIMITS.total }: Scan,
  segments: readonly Pick<SnapshotSegment, 'lines'>[] | undefined,
): PlanReport {
  const budget = Math.min(tokens, PACK_LIMITS.total);
  const counts = tokenCounts(files, segments ?? []);
  const pins = new Set(pinned);
  const held = new Set(segments?.flatMap(({ lines }) => lines.sources.map(({ path }) => path)));
  let total = 0;
  const planned = files.map(({ path }) => {
    const tokens = counts.get(path)!;
    total += tokens;
    const over = segments ? !held.has(path) : total > budget;
    return {
      file: path,
      tokens,
      ...(pins.has(path) && { pinned: true as const }),
      ...(over && { over: true as const }),
    };
  });
  return {
    files: planned,
    excluded,
    tokens: total,
    budget,
    counted: segments !== undefined,
    savings: savingsFor(planned, budget),
  };
}
