/** A model with a planted corpus that it has read: the product's own parts, put together for measuring. */
import { readText } from '../../backend/repo/text.ts';
import { limitsFor, questionText, templateOf, tokenizeParts } from '../../backend/context/assemble.ts';
import { identityOf } from '../../backend/context/identity.ts';
import { segmentsAt } from '../../backend/context/paths.ts';
import { Sight } from '../../backend/context/sight.ts';
import { scanTree, takeSnapshot, type Snapshot } from '../../backend/context/snapshot.ts';
import { frameView } from '../../backend/context/views.ts';
import { Store } from '../../backend/context/store.ts';
import { Runner } from '../../backend/engine/engine.ts';
import { loadAddon, type Head, type NativeSegment, type NativeSession } from '../../backend/engine/native.ts';
import { prefill } from '../../backend/engine/prefill.ts';
import { UserError } from '../../backend/errors.ts';
import { headsOf } from '../../backend/models/catalogue.ts';
import { ensureModel, modelsDirectory } from '../../backend/models/download.ts';
import { pack } from '../../backend/repo/pack.ts';
import type { SourceFile } from '../../backend/repo/scan.ts';
import type { Question } from './corpus.ts';

export interface LabOptions {
  /** An id of the catalogue or a path. */
  model: string;
  /** The folder that is read. */
  tree: string;
  /** Where the K/V is kept. */
  store: string;
  threads: number;
  /** Tells a person what is going on. */
  say: (text: string) => void;
}

/** Tokens of one forward pass, as in the product. */
const batch = 512;
/** What is asked of a long answer. */
const longestGold = 48;

export class Lab {
  private constructor(
    readonly options: LabOptions,
    readonly runner: Runner,
    readonly snapshot: Snapshot,
    readonly frame: NativeSegment,
    readonly segments: NativeSegment[],
    private readonly files: SourceFile[],
  ) {}

  /**
   * Loads the model and prefills what is missing.
   * @throws UserError
   */
  static async open(options: LabOptions): Promise<Lab> {
    const { tree, store, say } = options;
    const signal = new AbortController().signal;
    const runner = await openRunner(options);
    const selection = { root: tree, include: [], exclude: [] };
    const { files } = await scanTree(store, selection, signal, () => undefined);
    const snapshot = await takeSnapshot(runner.store, runner.model, selection, files, {
      isStored: async ({ hash, tokens }) => (await runner.shelf.get(hash, tokens)) !== undefined,
      signal,
      onRead: () => undefined,
    });
    if (snapshot.segments.length < 2) {
      throw new UserError('usage', 'The corpus is so small that it is read as a whole: ask for more tokens.');
    }
    let reading: string | undefined;
    await prefill(runner, snapshot, {
      signal,
      report: ({ detail, done, total, rate }) => {
        if (detail === reading) return;
        reading = detail;
        say(`reading ${detail ?? ''} ${done}/${total ?? '?'} at ${Math.round(rate ?? 0)} tokens/s`);
      },
    });
    const get = async (hash: string, tokens: number) => (await runner.shelf.get(hash, tokens))!;
    const frame = await get(snapshot.frame.hash, snapshot.frame.content.length);
    const segments = await Promise.all(snapshot.segments.map(({ hash, tokens }) => get(hash, tokens)));
    return new Lab(options, runner, snapshot, frame, segments, files);
  }

  /** The model's retrieval heads, as the product knows them. */
  get heads(): readonly Head[] {
    return headsOf(this.options.model);
  }

  get session(): NativeSession {
    return this.runner.session;
  }

  /** Where a question starts: behind the longest segment, as all of them start behind the frame. */
  get position(): number {
    return this.frame.tokens + Math.max(...this.segments.map(({ tokens }) => tokens));
  }

  /** Of frame and segments. */
  get tokens(): number {
    return this.segments.reduce((sum, { tokens }) => sum + tokens, this.frame.tokens);
  }

  /** The segments that hold a file; the others list all paths. */
  get sources(): number[] {
    const { segments } = this.snapshot;
    return [...segments.keys()].filter((id) => segments[id]!.lines.sources.length > 0);
  }

  /** The segments that a question is about. */
  rightSegments({ paths }: Question): number[] {
    return segmentsAt(paths, this.options.tree, this.snapshot.segments);
  }

  /** A question up to where its answer has to go on. */
  async promptOf({ question, answerPrefix }: Question, paths: string[]): Promise<Int32Array> {
    return tokenizeParts(this.runner.model, [
      { text: questionText(question, paths), special: false },
      { text: templateOf(this.runner.model).tail, special: true },
      { text: answerPrefix, special: false },
    ]);
  }

  async goldOf({ gold }: Question): Promise<Int32Array> {
    return (await this.runner.model.tokenize(gold, false)).tokens.slice(0, longestGold);
  }

  /** All segments' tokens, one after another, behind the frame's. */
  async wholeText(): Promise<Int32Array> {
    const { model } = this.runner;
    const segments = await pack(this.files, {
      readText: (path) => readText(this.options.tree, path),
      tokenize: (text) => model.tokenize(text, false),
      limits: limitsFor(model.info.trainedContext),
    });
    return Int32Array.from(
      [this.snapshot.frame.content, ...segments.map(({ tokens }) => tokens)].flatMap((t) => [...t]),
    );
  }

  /** What the product's gate chooses for a question: everything when it is `off`. */
  async chooseBy(
    gate: 'auto' | 'off' | number,
    question: string,
  ): Promise<{ visible: number[]; paths: string[] }> {
    const { session, snapshot, frame, segments, heads, options } = this;
    const sight = await Sight.choose(
      { session, model: this.runner.model, snapshot, frame, segments, heads },
      { root: options.tree, question, gate, mode: 'exact', others: 'mask' },
      new AbortController().signal,
    );
    return { visible: sight.assemble().segments, paths: sight.paths() };
  }

  /** Another session of the same model. */
  newSession(): NativeSession {
    return openSession(this.runner.model, this.options.threads);
  }

  close(): void {
    this.runner.close();
  }
}

async function openRunner({ model: idOrPath, store, threads, say }: LabOptions): Promise<Runner> {
  const addon = loadAddon();
  const file = await ensureModel(idOrPath, { directory: modelsDirectory() });
  const identity = await identityOf(file);
  say(`loading ${file.path}`);
  const model = await addon.loadModel(file.path, () => undefined);
  return new Runner(addon, model, openSession(model, threads), new Store(store, identity), identity);
}

function openSession(model: Runner['model'], threads: number): NativeSession {
  return loadAddon().createSession(model, { threads, kvType: 'f16', batch });
}

/**
 * The heads' attention mass for a question that sees nothing but the frame: [heads][segments], shares among these
 * segments. The session is left without a tail.
 */
export async function headMassOf(
  { session, runner, frame, segments }: Lab,
  question: string,
  heads: readonly Head[],
  ids: readonly number[],
): Promise<Float32Array> {
  const tokens = await tokenizeParts(runner.model, [{ text: questionText(question, []), special: false }]);
  session.reset([frameView(frame)]);
  session.watch(heads);
  try {
    await session.probe(tokens, frame.tokens);
    return await session.headMass(ids.map((id) => segments[id]!));
  } finally {
    session.watch([]);
  }
}
