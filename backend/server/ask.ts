import { z } from 'zod';
import {
  answerRoom,
  questionText,
  requireQuestion,
  templateOf,
  tokenizeParts,
  type Hints,
} from '../context/assemble.ts';
import { conversationOf, gateQuestion } from '../context/conversation.ts';
import { widestGate } from '../context/gate.ts';
import { openContext, type OpenContext, type OpenParams } from '../context/open.ts';
import type { Seen } from '../context/seen.ts';
import { Sight } from '../context/sight.ts';
import { removeDamaged } from '../context/store.ts';
import { usualBudget, type Assembled } from '../context/views.ts';
import { answer, type Decoded, type DecodedPassage } from '../engine/answer.ts';
import type { Engine } from '../engine/engine.ts';
import { EvidenceSum } from '../engine/evidence.ts';
import { nothingPrefilled } from '../engine/prefill.ts';
import { log } from '../log.ts';
import { AskRequest, FindRequest, IndexRequest } from '../protocol.ts';
import type {
  AskParams,
  AskResult,
  FindParams,
  FindResult,
  IndexResult,
  Passage,
  PrefillReport,
} from '../protocol.ts';
import type { Call, Registry } from './connection.ts';
import { progressFields, repositoryFields } from './params.ts';

const indexSchema = z.object({
  ...repositoryFields,
  ...progressFields,
  only: z.array(z.string()).optional(),
});
export const placeSchema = z.object({
  file: z.string(),
  startLine: z.number().int().min(1),
  endLine: z.number().int().min(1),
});
export const askSchema = z.object({
  ...repositoryFields,
  ...progressFields,
  question: z.string(),
  place: placeSchema.optional(),
  earlier: z.array(z.object({ question: z.string(), answer: z.string() })).optional(),
  gate: z.union([z.enum(['auto', 'off']), z.number().int().min(1).max(widestGate)]).optional(),
  others: z.enum(['estimate', 'mask']).optional(),
  pin: z.array(z.string()).optional(),
  drop: z.array(z.string()).optional(),
  budget: z.number().min(0).max(1).optional(),
  estimate: z.boolean().optional(),
  late: z.enum(['wait', 'estimate']).optional(),
  wait: z.enum(['auto', 'all', 'none']).optional(),
  insights: z.boolean().optional(),
  about: z.string().optional(),
});
const findSchema = indexSchema.extend({
  question: z.string(),
  limit: z.number().int().min(1).max(widestGate).optional(),
});
/** Files named beside the segments that were found. */
const mostFiles = 8;

export function registerAsk(registry: Registry, engine: Engine, seen: Seen): void {
  /** What this client's last question has left to read. */
  let rest = new AbortController();
  registry.on(IndexRequest, indexSchema, (params, call) =>
    readAll(engine, params, { ...call, isAwaited: false, seen }),
  );
  registry.on(FindRequest, findSchema, (params, call) => find(engine, params, call));
  registry.on(AskRequest, askSchema, async (params, call) => {
    const askedAt = performance.now();
    requireQuestion(params.question);
    const { wait = 'auto' } = params;
    const timing = nothingPrefilled();
    if (wait === 'all') await readAll(engine, params, { ...call, timing, isAwaited: true, seen });
    return engine.use(call.signal, async (signal) => {
      const open = () => openContext(engine, { ...chosenBy(params), wait }, { ...call, signal, timing });
      let context = await open();
      seen.note(context.selection, context.files);
      call.report({ kind: 'context', context: context.report });
      // It begins when the engine is free again, whatever becomes of the answer.
      rest.abort();
      rest = new AbortController();
      if (context.report.coverage < 1) {
        readRest(engine, params, { signal: AbortSignal.any([rest.signal, call.gone]), seen });
      }
      for (let left = context.segments.length; ; left--) {
        try {
          return await answerIn(context, params, askedAt, { ...call, signal });
        } catch (error) {
          // Noticed when a segment is first looked at, before any word of the answer.
          if (left === 0 || !(await removeDamaged(error))) throw error;
          context = await open();
        }
      }
    });
  });
}

/** Files are chosen by what the question is about. */
function chosenBy(params: AskParams): AskParams {
  return { ...params, question: params.about ?? gateQuestion(params) };
}

/** What the gate would choose, in what has been read or is worth reading first. */
async function find(engine: Engine, params: FindParams, call: Call): Promise<FindResult> {
  requireQuestion(params.question);
  const { question, limit: gate } = params;
  return engine.use(call.signal, async (signal) => {
    const context = await openContext(engine, { ...params, wait: 'auto' }, { ...call, signal });
    const { session, model } = context.runner;
    const sight = await Sight.choose(
      { ...context, session, model },
      { ...params, gate, pin: context.pinned },
      signal,
    );
    return {
      context: context.report,
      segments: sight.report()?.segments ?? [],
      files: context.snapshot.lexical.rank(question).paths.slice(0, mostFiles),
    };
  });
}

interface ReadingHooks {
  signal: AbortSignal;
  report: Call['report'];
  /** What is read is added to it. */
  timing?: PrefillReport;
  /** Whether a question waits for it. */
  isAwaited: boolean;
  /** Is told what was read. */
  seen: Seen;
}

/** Reads the whole repository, also what a question drops; whoever asks a question meanwhile comes first. */
async function readAll(
  engine: Engine,
  params: OpenParams,
  { signal, report, timing = nothingPrefilled(), isAwaited, seen }: ReadingHooks,
): Promise<IndexResult> {
  const work = async (signal: AbortSignal) => {
    const everything: OpenParams = { ...params, drop: [], wait: 'all' };
    const context = await openContext(engine, everything, { signal, report, timing });
    seen.note(context.selection, context.files, params.only);
    return { context: context.report, timing, memory: context.memory() };
  };
  return engine.spare(signal, work, { isAwaited });
}

/** Nobody waits for it: what goes wrong is said when somebody does. */
function readRest(
  engine: Engine,
  params: AskParams,
  { signal, seen }: Pick<ReadingHooks, 'signal' | 'seen'>,
): void {
  readAll(engine, params, { signal, report: () => undefined, isAwaited: false, seen }).then(
    ({ context }) => log(`reading: all ${context.tokens} tokens of ${params.root} are read`),
    (error: unknown) => {
      if (!signal.aborted) log(`reading: ${params.root} is not read further: ${String(error)}`);
    },
  );
}

/** The question is answered in a context that has been read; the engine must be held. */
export async function answerIn(
  context: OpenContext,
  params: AskParams,
  askedAt: number,
  { signal, report }: Pick<Call, 'signal' | 'report'>,
): Promise<AskResult> {
  const { runner, heads } = context;
  const { sight, tokens, position, room } = await pose(context, params, signal);
  const assembled = sight.assemble();
  runner.session.reset(assembled.views);
  const reading = new Reading(context, sight, assembled);
  const decoded = await answer(runner, {
    question: tokens,
    position,
    room,
    heads: sight.report() ? heads : [],
    signal,
    onText: (text, tokensPerSecond) => report({ kind: 'text', text, tokensPerSecond }),
    onPassage: (passage) => reading.take(passage),
    onInsight: params.insights
      ? (insight) => report({ kind: 'insight', ...insight, memory: runner.memory() })
      : undefined,
  });
  return reading.result(decoded, askedAt);
}

/** What the question attends to, and its tokens. */
export async function pose(context: OpenContext, params: AskParams, signal: AbortSignal) {
  const { session, model } = context.runner;
  await fitQuestion(context, params.question);
  const { budget: share = usualBudget.share, estimate = usualBudget.estimate, late = 'wait' } = params;
  session.setBudget({ ...usualBudget, share, estimate, wait: late === 'wait' });
  const { pinned: pin, dropped: drop } = context;
  const seen = { ...chosenBy(params), pin, drop };
  const sight = await Sight.choose({ ...context, session, model }, seen, signal);
  const hints = { ...sight.hints(), ...(await conversationOf(params, context.snapshot)) };
  return { sight, ...(await fitQuestion(context, params.question, hints)) };
}

/**
 * The question's tokens, where they start and how long the answer may be.
 * @throws UserError `questionTooLong`
 */
async function fitQuestion({ runner, longest, frame }: OpenContext, question: string, hints?: Hints) {
  const tokens = await tokenizeParts(runner.model, [
    { text: questionText(question, hints), special: false },
    { text: templateOf(runner.model).tail, special: true },
  ]);
  const position = frame.tokens + longest;
  const room = answerRoom(runner.model.info.trainedContext, position, tokens.length);
  return { tokens, position, room };
}

/** What the answer was read from, sentence by sentence. */
class Reading {
  readonly #whole: EvidenceSum;
  readonly #passages: Passage[] = [];

  constructor(
    private readonly context: OpenContext,
    private readonly sight: Sight,
    private assembled: Assembled,
  ) {
    this.#whole = new EvidenceSum(context.snapshot.segments);
  }

  async take({ start, end, text, steps, evidence, last }: DecodedPassage): Promise<void> {
    const [, ...masses] = evidence;
    const passage = new EvidenceSum(this.context.snapshot.segments);
    for (const sum of [passage, this.#whole]) sum.add(this.assembled.segments, masses, steps);
    this.#passages.push({ start, end, citations: passage.citations(text) });
    if (last) return;
    this.assembled = (await this.sight.look({ text, end }, passage.strongest())) ?? this.assembled;
  }

  result(decoded: Decoded, askedAt: number): AskResult {
    const { report, timing, memory, missed } = this.context;
    return {
      answer: decoded.text,
      citations: this.#whole.citations(decoded.text),
      context: report,
      timing: {
        ...timing,
        ttftMs: decoded.firstTokenAt - askedAt,
        decodeTokensPerSecond: decoded.tokensPerSecond,
      },
      memory: memory(),
      finish: decoded.finish,
      mode: this.assembled.mode,
      missed,
      gate: this.sight.report(),
      attention: decoded.attention,
      steps: decoded.steps,
      passages: this.#passages,
    };
  }
}
