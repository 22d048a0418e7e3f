/** From a request's parameters to a context that is ready for a question. */
import prettyBytes from 'pretty-bytes';
import type { Engine, Runner } from '../engine/engine.ts';
import type { Head, NativeSegment } from '../engine/native.ts';
import { prefill } from '../engine/prefill.ts';
import { UserError } from '../errors.ts';
import { DEFAULT_MODEL, headsOf } from '../models/catalogue.ts';
import { ensureModel, modelsDirectory } from '../models/download.ts';
import type {
  ContextReport,
  ExcludedFile,
  MemoryReport,
  PhaseProgress,
  PrefillReport,
  RepositoryParams,
} from '../protocol.ts';
import type { SourceFile } from '../repo/scan.ts';
import { identityOf } from './identity.ts';
import { scanTree, takeSnapshot, TreeChanged, type Selection, type Snapshot } from './snapshot.ts';

/** The token limit of a snapshot, and how few bytes of text make a token. */
const budget = 1_000_000;
const bytesPerToken = 3;
/** How often a tree may change while it is being read. */
const attempts = 3;

export interface OpenContext {
  runner: Runner;
  snapshot: Snapshot;
  frame: NativeSegment;
  segments: NativeSegment[];
  /** The model's retrieval heads; none when they are not known. */
  heads: readonly Head[];
  report: ContextReport;
  timing: PrefillReport;
  /** As it is now: the tail grows while answering. */
  memory: () => MemoryReport;
}

interface Hooks {
  signal: AbortSignal;
  report: (progress: PhaseProgress) => void;
}

/**
 * Scans the repository, loads the model and prefills what is missing.
 * @throws UserError
 */
export async function openContext(
  engine: Engine,
  params: RepositoryParams,
  hooks: Hooks,
): Promise<OpenContext> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await openOnce(engine, params, hooks);
    } catch (error) {
      if (!(error instanceof TreeChanged)) throw error;
      if (attempt === attempts) {
        throw new UserError(
          'environment',
          'The repository keeps changing while it is read: ask again when it rests.',
          {
            cause: error,
          },
        );
      }
    }
  }
}

async function openOnce(engine: Engine, params: RepositoryParams, hooks: Hooks): Promise<OpenContext> {
  const { signal, report } = hooks;
  const selection: Selection = {
    root: params.root,
    include: params.include ?? [],
    exclude: params.exclude ?? [],
  };
  const found = await scanTree(engine.storeRoot, selection, signal, (done) =>
    report({ kind: 'phase', phase: 'scan', done }),
  );
  const { kept, over } = withinBudget(found.files);
  const model = params.model ?? DEFAULT_MODEL;
  const runner = await loadModel(engine, model, hooks);
  const snapshot = await takeSnapshot(runner.store, runner.model, selection, kept, {
    isStored: async ({ hash, tokens }) => (await runner.shelf.get(hash, tokens)) !== undefined,
    signal,
    onRead: (done) => report({ kind: 'phase', phase: 'scan', done, total: kept.length }),
  });
  const tokens = tokensOf(snapshot);
  requireRam(tokens * runner.model.info.kvBytesPerToken, params.ramBytes);
  const timing = await prefill(runner, snapshot, hooks);
  return {
    runner,
    snapshot,
    ...(await shelved(runner, snapshot)),
    heads: headsOf(model),
    report: {
      tokens,
      files: kept.length,
      excluded: [...found.excluded, ...over],
      coverage: 1,
      budget,
    },
    timing,
    memory: () => memoryOf(runner, snapshot),
  };
}

/** Files beyond the token limit, by their size, are left out in the order of their paths. */
function withinBudget(files: SourceFile[]): { kept: SourceFile[]; over: ExcludedFile[] } {
  let bytes = 0;
  const end = files.findIndex((file) => (bytes += file.bytes) > budget * bytesPerToken);
  if (end < 0) return { kept: files, over: [] };
  const reason = `beyond the limit of ${budget.toLocaleString('en')} tokens`;
  return { kept: files.slice(0, end), over: files.slice(end).map(({ path }) => ({ file: path, reason })) };
}

async function loadModel(engine: Engine, idOrPath: string, { signal, report }: Hooks): Promise<Runner> {
  const model = await ensureModel(idOrPath, {
    directory: modelsDirectory(),
    signal,
    onProgress: (progress) => report({ kind: 'phase', phase: 'download', detail: idOrPath, ...progress }),
  });
  const file = { path: model.path, identity: await identityOf(model) };
  return engine.load(file, (share) =>
    report({ kind: 'phase', phase: 'load', detail: model.id, done: Math.round(share * 100), total: 100 }),
  );
}

function requireRam(bytes: number, limit: number | undefined): void {
  if (limit === undefined || bytes <= limit) return;
  throw new UserError(
    'outOfMemory',
    `This repository takes ${prettyBytes(bytes)} of memory and --ram allows ${prettyBytes(limit)}: allow more, or leave files out with --exclude.`,
  );
}

/** The mapped frame and segments; what no snapshot needs any more is closed. */
async function shelved(runner: Runner, { frame, segments }: Snapshot) {
  runner.session.reset([]);
  runner.shelf.keepOnly(new Set([frame.hash, ...segments.map(({ hash }) => hash)]));
  const get = async (hash: string, tokens: number) => {
    const segment = await runner.shelf.get(hash, tokens);
    if (!segment) throw new Error(`Segment ${hash} has left the store while it was in use.`);
    return segment;
  };
  return {
    frame: await get(frame.hash, frame.content.length),
    segments: await Promise.all(segments.map(({ hash, tokens }) => get(hash, tokens))),
  };
}

function tokensOf({ frame, segments }: Snapshot): number {
  return segments.reduce((sum, { tokens }) => sum + tokens, frame.content.length);
}

function memoryOf({ model }: Runner, snapshot: Snapshot): MemoryReport {
  const stored = tokensOf(snapshot) * model.info.kvBytesPerToken;
  return { ramBytes: process.memoryUsage.rss(), diskBytes: stored, gpuBytes: 0 };
}
