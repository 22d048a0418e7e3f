import { z } from 'zod';
import { answerRoom, questionText, requireQuestion, templateOf, tokenizeParts } from '../context/assemble.ts';
import { backgroundBias } from '../context/focus.ts';
import { openContext, type OpenContext } from '../context/open.ts';
import { answer, type Decoded } from '../engine/answer.ts';
import { citations } from '../engine/citations.ts';
import type { Engine } from '../engine/engine.ts';
import type { View } from '../engine/native.ts';
import { AskRequest, IndexRequest, type AskParams, type AskResult } from '../protocol.ts';
import type { Call, Registry } from './connection.ts';
import { progressFields, repositoryFields } from './params.ts';

const indexSchema = z.object({ ...repositoryFields, ...progressFields });
const askSchema = indexSchema.extend({ question: z.string() });

export function registerAsk(registry: Registry, engine: Engine): void {
  registry.on(IndexRequest, indexSchema, (params, call) =>
    engine.use(call.signal, async (signal) => {
      const { report, timing, memory } = await openContext(engine, params, { ...call, signal });
      return { context: report, timing, memory: memory() };
    }),
  );
  registry.on(AskRequest, askSchema, (params, call) => {
    const askedAt = performance.now();
    requireQuestion(params.question);
    return engine.use(call.signal, async (signal) => {
      const context = await openContext(engine, params, { ...call, signal });
      call.report({ kind: 'context', context: context.report });
      return answerIn(context, params, askedAt, { ...call, signal });
    });
  });
}

async function answerIn(
  context: OpenContext,
  { question }: AskParams,
  askedAt: number,
  { signal, report }: Call,
): Promise<AskResult> {
  const { snapshot, runner } = context;
  const focus = snapshot.focus.rank(question);
  const tokens = await tokenizeParts(runner.model, [
    { text: questionText(question, focus.paths), special: false },
    { text: templateOf(runner.model).tail, special: true },
  ]);
  const position = context.frame.tokens + Math.max(...snapshot.segments.map((segment) => segment.tokens));
  const room = answerRoom(runner.model.info.trainedContext, position, tokens.length);

  runner.session.reset(viewsOf(context, focus.segments));
  const decoded = await answer(runner, {
    question: tokens,
    position,
    room,
    signal,
    onText: (text) => report({ kind: 'text', text }),
  });
  return asResult(context, decoded, askedAt);
}

/** All segments are seen; with some chosen the others are turned down. */
function viewsOf({ frame, segments }: OpenContext, chosen: number[]): View[] {
  const bias = (id: number) => (chosen.length === 0 || chosen.includes(id) ? 0 : backgroundBias);
  return [{ segment: frame, bias: 0 }, ...segments.map((segment, id) => ({ segment, bias: bias(id) }))];
}

function asResult(
  { snapshot, report, timing, memory }: OpenContext,
  decoded: Decoded,
  askedAt: number,
): AskResult {
  const [, ...masses] = decoded.evidence;
  const evidence = snapshot.segments.map(({ lines, blank, tokens }, i) => ({
    lines,
    blank,
    mass: masses[i] ?? new Float32Array(tokens),
  }));
  return {
    answer: decoded.text,
    citations: citations(evidence, decoded.text),
    context: report,
    timing: {
      ...timing,
      ttftMs: decoded.firstTokenAt - askedAt,
      decodeTokensPerSecond: decoded.tokensPerSecond,
    },
    memory: memory(),
    finish: decoded.finish,
  };
}
