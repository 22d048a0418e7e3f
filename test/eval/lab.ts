/** A model with a planted corpus that it has read: the product's own parts, put together for measuring. */
import {
  limitsFor,
  questionText,
  templateOf,
  tokenizeParts,
  type Hints,
} from '../../backend/context/assemble.ts';
import { openContext, type OpenContext } from '../../backend/context/open.ts';
import { segmentsAt } from '../../backend/context/paths.ts';
import { probe } from '../../backend/context/probe.ts';
import { Sight } from '../../backend/context/sight.ts';
import { scanTree } from '../../backend/context/snapshot.ts';
import { Engine } from '../../backend/engine/engine.ts';
import { loadAddon, type Head, type NativeSession } from '../../backend/engine/native.ts';
import { UserError } from '../../backend/errors.ts';
import type { AskParams, AskResult, KvForm, PhaseProgress } from '../../backend/protocol.ts';
import { pack } from '../../backend/repo/pack.ts';
import type { SourceFile } from '../../backend/repo/scan.ts';
import { readText } from '../../backend/repo/text.ts';
import { answerIn } from '../../backend/server/ask.ts';
import type { Question } from './corpus.ts';

export interface LabOptions {
  /** An id of the catalogue or a path. */
  model: string;
  kv: KvForm;
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

const alive = new AbortController().signal;

export class Lab {
  private constructor(
    readonly options: LabOptions,
    private readonly engine: Engine,
    private readonly context: OpenContext,
  ) {}

  /**
   * Loads the model and prefills what is missing.
   * @throws UserError
   */
  static async open(options: LabOptions): Promise<Lab> {
    const { tree, store, model, kv, threads, say } = options;
    const engine = new Engine(store, threads);
    const report = onceEach(say);
    const context = await openContext(engine, { root: tree, model, kv }, { signal: alive, report });
    if (context.segments.length < 2) {
      throw new UserError('usage', 'The corpus is so small that it is read as a whole: ask for more tokens.');
    }
    return new Lab(options, engine, context);
  }

  get runner() {
    return this.context.runner;
  }

  get snapshot() {
    return this.context.snapshot;
  }

  get frame() {
    return this.context.frame;
  }

  get segments() {
    return this.context.segments;
  }

  /** The model's retrieval heads, as the product knows them. */
  get heads(): readonly Head[] {
    return this.context.heads;
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
  async promptOf({ question, answerPrefix }: Question, hints?: Hints): Promise<Int32Array> {
    return tokenizeParts(this.runner.model, [
      { text: questionText(question, hints), special: false },
      { text: templateOf(this.runner.model).tail, special: true },
      { text: answerPrefix, special: false },
    ]);
  }

  async goldOf({ gold }: Question): Promise<Int32Array> {
    return (await this.runner.model.tokenize(gold, false)).tokens.slice(0, longestGold);
  }

  /** The files that are read. */
  async files(): Promise<SourceFile[]> {
    const { tree, store } = this.options;
    const selection = { root: tree, include: [], exclude: [] };
    return (await scanTree(store, selection, alive, () => undefined)).files;
  }

  /** All segments' tokens, one after another, behind the frame's. */
  async wholeText(): Promise<Int32Array> {
    const { model } = this.runner;
    const { tree } = this.options;
    const segments = await pack(await this.files(), {
      readText: (path) => readText(tree, path),
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
  ): Promise<{ visible: number[]; hints: Hints }> {
    const { model } = this.runner;
    const sight = await Sight.choose(
      { ...this.context, session: this.session, model },
      { root: this.options.tree, question, gate, mode: 'exact', others: 'mask' },
      alive,
    );
    return { visible: sight.assemble().segments, hints: sight.hints() };
  }

  /** What the product answers, its looks included. */
  async answer(params: Pick<AskParams, 'question' | 'gate' | 'mode' | 'others'>): Promise<AskResult> {
    const call = { signal: alive, report: () => undefined };
    return answerIn(this.context, { ...params, root: this.options.tree }, performance.now(), call);
  }

  /** Attention mass of these heads for a question that sees nothing but the frame: [heads][ids]. */
  async probe(question: string, heads: readonly Head[], ids: readonly number[]): Promise<Float32Array> {
    const { model } = this.runner;
    return probe({ ...this.context, session: this.session, model, heads }, question, ids, alive);
  }

  /** Another session of the same model. */
  newSession(): NativeSession {
    return loadAddon().createSession(this.runner.model, {
      threads: this.options.threads,
      kvType: 'f16',
      batch,
    });
  }

  close(): Promise<void> {
    return this.engine.close();
  }
}

/** Says what is being read, or which phase has begun, when that changes. */
function onceEach(say: LabOptions['say']): (progress: PhaseProgress) => void {
  let said: string | undefined;
  return ({ phase, detail, done, total, rate }) => {
    if ((detail ?? phase) === said) return;
    said = detail ?? phase;
    say(
      `${phase} ${detail ?? ''} ${done ?? 0}/${total ?? '?'}${rate ? ` at ${Math.round(rate)} tokens/s` : ''}`,
    );
  };
}
