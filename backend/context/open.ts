/** From a request's parameters to a context that is ready for a question. */
import type { Engine, Runner } from '../engine/engine.ts';
import type { Head, NativeSegment } from '../engine/native.ts';
import { since } from '../engine/memory.ts';
import { nothingPrefilled, prefill } from '../engine/prefill.ts';
import { UserError } from '../errors.ts';
import { DEFAULT_MODEL, headsOf } from '../models/catalogue.ts';
import { ensureModel, modelsDirectory } from '../models/download.ts';
import type {
  AskParams,
  ContextReport,
  IndexParams,
  MemoryReport,
  PhaseProgress,
  PrefillReport,
  RepositoryParams,
} from '../protocol.ts';
import type { SourceFile } from '../repo/scan.ts';
import { segmentsOver } from './conversation.ts';
import { tokenCounts } from './counts.ts';
import { identityOf } from './identity.ts';
import { readFirst, readingOrder } from './order.ts';
import { missedFiles, partOf, type Part } from './part.ts';
import { insideRoot, segmentsAt } from './paths.ts';
import { makeRoom } from './quota.ts';
import { removeDamaged } from './store.ts';
import { scanTree, takeSnapshot, treeState, TreeChanged } from './snapshot.ts';
import type { Selection, Snapshot, SnapshotSegment } from './snapshot.ts';

/** How often in a row a tree may change before anything of it is read. */
const attempts = 3;
/** What is stored of a token's K/V, and the wave index beside it, as shares of K/V as it is: never more. */
const storedShare = { f16: 1, q8: 0.6 };
const indexShare = 1 / 8;

/** A question is absent when the repository is only read. */
export type OpenParams = RepositoryParams &
  Partial<Pick<AskParams, 'question' | 'place' | 'pin' | 'drop' | 'wait'>> &
  Pick<IndexParams, 'only'>;

export interface OpenContext {
  selection: Selection;
  /** The files of the state of the tree that this is. */
  files: SourceFile[];
  runner: Runner;
  /** What has been read. */
  snapshot: Part;
  frame: NativeSegment;
  segments: NativeSegment[];
  /** Tokens of the longest segment, also among those that have not been read. */
  longest: number;
  /** The model's retrieval heads; none when they are not known. */
  heads: readonly Head[];
  report: ContextReport;
  /** Files that the question is likely about and that have not been read. */
  missed: string[];
  /** The files of `pin` and of the repository's rules, and those of `drop`, that have been read. */
  pinned: string[];
  dropped: string[];
  timing: PrefillReport;
  /** As it is now: the tail grows while answering. */
  memory: () => MemoryReport;
}

interface Hooks {
  signal: AbortSignal;
  report: (progress: PhaseProgress) => void;
  /** What reading took so far, when it goes on after an interruption. */
  timing?: PrefillReport;
}

/**
 * Scans the repository, loads the model and prefills what is missing, as much of it as `wait` says: all by default.
 * @throws UserError
 */
export async function openContext(engine: Engine, params: OpenParams, hooks: Hooks): Promise<OpenContext> {
  const timing = hooks.timing ?? nothingPrefilled();
  for (let attempt = 1; ; attempt++) {
    const before = timing.prefillTokens;
    try {
      return await openOnce(engine, params, { ...hooks, timing });
    } catch (error) {
      if (!(error instanceof TreeChanged) && !(await removeDamaged(error))) throw error;
      if (timing.prefillTokens > before) attempt = 0;
      else if (attempt === attempts) {
        throw new UserError(
          'environment',
          'The repository keeps changing while it is read: ask again when it rests.',
          { cause: error },
        );
      }
    }
  }
}

async function openOnce(engine: Engine, params: OpenParams, hooks: Required<Hooks>): Promise<OpenContext> {
  const { signal, report, timing } = hooks;
  const selection: Selection = {
    root: params.root,
    include: params.include ?? [],
    exclude: params.exclude ?? [],
  };
  const scannedMs = Date.now();
  const found = await scanTree(engine.storeRoot, selection, signal, (done) =>
    report({ kind: 'phase', phase: 'scan', done }),
  );
  const runner = await loadModel(engine, params, hooks);
  runner.limitMemory(params.ramBytes);
  const memoryBefore = runner.memory();
  const snapshot = await takeSnapshot(runner.store, runner.model, selection, found.files, {
    signal,
    onRead: (done) => report({ kind: 'phase', phase: 'scan', done, total: found.files.length }),
    tokens: found.tokens,
  });
  const tokens = tokensOf(snapshot);
  const held = new Set(snapshot.segments.flatMap(pathsIn));

  const dropped = new Set(segmentsAt(params.drop ?? [], params.root, snapshot.segments));
  const asked = segmentsAt(params.pin ?? [], params.root, snapshot.segments);
  refuseContradiction(asked, dropped, snapshot);
  const always = found.pinned.filter((path) => held.has(path));
  // What one question must not see is stronger than what all others look at closely.
  const pinned = [...asked, ...segmentsAt(always, params.root, snapshot.segments)].filter(
    (id) => !dropped.has(id),
  );
  const near = segmentsOver(params.place, params.root, snapshot.segments);
  const first = [...pinned, ...near.filter((id) => !dropped.has(id))];
  const order = readingOrder({
    segments: snapshot.segments,
    pinned: first,
    found: params.question === undefined ? [] : snapshot.lexical.rank(params.question).segments,
    focus: (params.focus ?? []).map((file) => insideRoot(file, params.root)),
    imports: snapshot.imports,
    modifiedMs: new Map(found.files.map(({ path, mtimeMs }) => [path, mtimeMs])),
    askedMs: snapshot.askedMs,
    nowMs: Date.now(),
  }).filter((id) => !dropped.has(id) && isWanted(snapshot.segments[id]!, params.only));
  await read(runner, snapshot, order, { ...params, pinned: new Set(first) }, hooks);
  const { frame, ids, segments } = await shelved(runner, snapshot);
  const { question, wait = 'all' } = params;
  const stored = new Set(ids);
  if (wait === 'all' && !order.every((id) => stored.has(id)))
    throw new TreeChanged('what was read has left the store');
  if (question !== undefined && areChangesRead(snapshot, found.files, stored))
    await snapshot.noteAsked(scannedMs);

  const part = partOf(snapshot, ids);
  const readTokens = tokensOf(part);
  const over = found.files.filter(({ path }) => !held.has(path));
  const readFiles = (chosen: ReadonlySet<number>) =>
    ids.filter((id) => chosen.has(id)).flatMap((id) => pathsIn(snapshot.segments[id]!));
  return {
    selection,
    files: found.files,
    runner,
    snapshot: part,
    frame,
    segments,
    longest: Math.max(...snapshot.segments.map((segment) => segment.tokens)),
    heads: headsOf(params.model ?? DEFAULT_MODEL),
    report: {
      tokens,
      files: found.files.length - over.length,
      excluded: [...found.excluded, ...over.map((file) => beyondBudget(file, snapshot))],
      coverage: readTokens / tokens,
      budget: snapshot.budget,
      state: treeState(found.files),
      ...overBudget(over, tokenCounts(found.files, snapshot.segments)),
      ...(segments.some(isSynthetic) && { synthetic: true }),
    },
    missed: missedFiles(snapshot, new Set([...ids, ...dropped]), params.question ?? ''),
    pinned: readFiles(new Set(pinned)),
    dropped: readFiles(dropped),
    timing,
    memory: () => ({
      ...since(memoryBefore, runner.memory()),
      diskBytes: [frame, ...segments].reduce((sum, { bytes }) => sum + bytes, 0),
    }),
  };
}

/** @throws UserError `usage` when a segment is pinned and dropped */
function refuseContradiction(
  pinned: readonly number[],
  dropped: ReadonlySet<number>,
  { segments }: Pick<Snapshot, 'segments'>,
): void {
  const both = pinned.find((id) => dropped.has(id));
  if (both === undefined) return;
  const files = pathsIn(segments[both]!).join(', ');
  throw new UserError('usage', `${files} cannot be pinned and dropped at once: leave out one of the two.`);
}

/** Whether all that has changed since the last question is read; what is not stays new to the next one. */
function areChangesRead(
  { segments, askedMs = Infinity }: Pick<Snapshot, 'segments' | 'askedMs'>,
  files: readonly SourceFile[],
  stored: ReadonlySet<number>,
): boolean {
  const unread = new Set(segments.flatMap((segment, id) => (stored.has(id) ? [] : pathsIn(segment))));
  return !files.some(({ path, mtimeMs }) => mtimeMs > askedMs && unread.has(path));
}

const isWanted = (segment: SnapshotSegment, only: readonly string[] | undefined): boolean =>
  !only || pathsIn(segment).some((path) => only.includes(path));

const pathsIn = ({ lines }: Pick<SnapshotSegment, 'lines'>): string[] =>
  lines.sources.map(({ path }) => path);

function beyondBudget({ path }: SourceFile, { budget }: Pick<Snapshot, 'budget'>) {
  return { file: path, reason: `beyond the limit of ${budget.toLocaleString('en')} tokens` };
}

function overBudget(
  over: readonly SourceFile[],
  counts: ReadonlyMap<string, number>,
): Pick<ContextReport, 'overBudget'> {
  if (over.length === 0) return {};
  const tokens = over.reduce((sum, { path }) => sum + (counts.get(path) ?? 0), 0);
  return { overBudget: { files: over.length, tokens } };
}

export async function loadModel(
  engine: Engine,
  {
    model: idOrPath = DEFAULT_MODEL,
    kv = 'f16',
    gpu = 'off',
    gpuBytes = 0,
  }: Pick<RepositoryParams, 'model' | 'kv' | 'gpu' | 'gpuBytes'>,
  { signal, report }: Hooks,
): Promise<Runner> {
  const model = await ensureModel(idOrPath, {
    directory: modelsDirectory(),
    signal,
    onProgress: (progress) => report({ kind: 'phase', phase: 'download', detail: idOrPath, ...progress }),
  });
  const file = { path: model.path, name: model.id, identity: await identityOf(model) };
  return engine.load(file, kv, { mode: gpu, bytes: gpuBytes }, (share) =>
    report({ kind: 'phase', phase: 'load', detail: model.id, done: Math.round(share * 100), total: 100 }),
  );
}

/** Prefills what `wait` asks for, of what is missing in the order of reading. */
async function read(
  runner: Runner,
  snapshot: Snapshot,
  order: number[],
  { wait = 'all', diskBytes, pinned }: OpenParams & { pinned: ReadonlySet<number> },
  hooks: Required<Hooks>,
): Promise<void> {
  const { frame, segments } = snapshot;
  const isStored = async (hash: string, tokens: number) =>
    (await runner.shelf.get(hash, tokens)) !== undefined;
  const missing = [];
  for (const id of order) {
    const { hash, tokens } = segments[id]!;
    if (!(await isStored(hash, tokens))) missing.push({ id, tokens });
  }
  const isEmpty = missing.length === order.length;
  const chosen = readFirst(missing, wait, { required: pinned, isEmpty }).map((id) => segments[id]!);
  const hasFrame = await isStored(frame.hash, frame.content.length);
  if (chosen.length === 0 && hasFrame) return;
  const tokens = tokensOf({ frame, segments: chosen }) - (hasFrame ? frame.content.length : 0);
  await makeRoom(runner.store.root, {
    bytes: Math.ceil(
      tokens * runner.model.info.kvBytesPerToken * (storedShare[runner.store.kv] + indexShare),
    ),
    diskBytes,
    keep: new Set([frame.hash, ...segments.map(({ hash }) => hash)]),
  });
  await prefill(runner, { ...snapshot, segments: chosen }, hooks, hooks.timing);
}

/** The frame and the segments that have been read; what the snapshot does not name is closed. */
async function shelved(runner: Runner, { frame, segments }: Snapshot) {
  runner.session.reset([]);
  runner.shelf.keepOnly(new Set([frame.hash, ...segments.map(({ hash }) => hash)]));
  const stored = await runner.shelf.get(frame.hash, frame.content.length);
  if (!stored) throw new TreeChanged(`the frame ${frame.hash} has left the store`);
  const read = await Promise.all(segments.map(({ hash, tokens }) => runner.shelf.get(hash, tokens)));
  const ids = [...segments.keys()].filter((id) => read[id] !== undefined);
  return { frame: stored, ids, segments: ids.map((id) => read[id]!) };
}

/** Made up to measure speed. */
function isSynthetic({ meta }: NativeSegment): boolean {
  return (JSON.parse(meta) as { synthetic?: boolean }).synthetic === true;
}

function tokensOf({ frame, segments }: Pick<Snapshot, 'frame' | 'segments'>): number {
  return segments.reduce((sum, { tokens }) => sum + tokens, frame.content.length);
}
