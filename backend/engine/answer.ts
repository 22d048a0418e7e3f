/** The answer: greedy decoding behind a prepared context, streamed as text. */
import type { AskResult, AttentionSteps, AttentionSummary, InsightProgress } from '../protocol.ts';
import { StepList, summarize } from './attention.ts';
import type { Runner } from './engine.ts';
import type { Head } from './native.ts';
import { endsInLoop } from './repetition.ts';
import { Sentences, type Range } from './sentences.ts';

/** Text deltas are gathered for about this long, so that a fast model does not flood the connection. */
const flushMs = 30;

/** What attention does changes slowly to the eye. */
const insightMs = 250;

/** A sentence of the answer, and what attention did while it was written. */
export interface DecodedPassage extends Range {
  text: string;
  /** Passes counted: about the passage's tokens, as the end of a sentence is known one token later. */
  steps: number;
  /** Attention mass per view and token, mean over these passes. */
  evidence: Float32Array[];
  /** Whether the answer ends with it. */
  last: boolean;
}

export interface Decoded {
  text: string;
  finish: AskResult['finish'];
  /** When the first token of the answer was known, as performance.now(). */
  firstTokenAt: number;
  /** Tokens per second after the first; 0 when there was only one. */
  tokensPerSecond: number;
  attention: AttentionSummary;
  steps: AttentionSteps;
}

export interface AnswerOptions {
  /** The question with everything that stands around it. */
  question: Int32Array;
  /** Where it starts. */
  position: number;
  /** The most tokens of the answer. */
  room: number;
  /** Whose queries are kept while the answer is written. */
  heads: readonly Head[];
  signal: AbortSignal;
  /** @param tokensPerSecond so far; undefined before the second token */
  onText: (text: string, tokensPerSecond: number | undefined) => void;
  /** Called between two passes; it may change what the session looks at. */
  onPassage: (passage: DecodedPassage) => Promise<void>;
  /** What attention has done so far: a few times a second, and at the end. */
  onInsight?: (insight: Pick<InsightProgress, 'tokens' | 'tokensPerSecond' | 'attention'>) => void;
}

/**
 * Runs the question and decodes until the model is done, the room is used up or it repeats itself.
 * The runner must have been reset to the views before.
 * @throws UserError `cancelled`
 */
export async function answer(runner: Runner, options: AnswerOptions): Promise<Decoded> {
  const { session } = runner;
  const { question, position, signal } = options;
  const last = question.length - 1;
  await runner.forward(question.subarray(0, last), position, { sample: false, signal });
  session.watch(options.heads);
  try {
    session.startEvidence();
    const first = await runner.forward(question.subarray(last), position + last, { sample: true, signal });
    return await decode(runner, first, position + question.length, options);
  } finally {
    session.watch([]);
  }
}

/** From the first token on, which is still to be passed at `position`. */
async function decode(
  runner: Runner,
  first: number,
  position: number,
  { room, signal, onText, onPassage, onInsight }: AnswerOptions,
): Promise<Decoded> {
  const { session, model } = runner;
  const firstTokenAt = performance.now();
  const tokens: number[] = [];
  const rate = () => {
    const seconds = (performance.now() - firstTokenAt) / 1000;
    return tokens.length > 1 && seconds > 0 ? tokens.length / seconds : undefined;
  };
  const stream = new TextStream((text) => onText(text, rate()));
  const sentences = new Sentences();
  const list = new StepList();
  /** Since the last passage; the pass of the question's last token chose the first token. */
  let passes = 1;
  const endPassage = async (range: Range, isLast: boolean) => {
    const passage = { ...range, text: stream.text.slice(range.start, range.end), steps: passes };
    passes = 0;
    await onPassage({ ...passage, evidence: session.takeEvidence(), last: isLast });
  };

  let toldAt = firstTokenAt;
  const tell = () => {
    toldAt = performance.now();
    const attention = summarize(session.attentionReport());
    onInsight?.({ tokens: tokens.length, tokensPerSecond: rate() ?? 0, attention });
    return attention;
  };
  let token = first;
  let finish: AskResult['finish'] = 'length';
  while (tokens.length < room) {
    if (model.isEndOfGeneration(token)) {
      finish = 'stop';
      break;
    }
    tokens.push(token);
    list.push(session.stepRecord());
    const sentence = sentences.push(stream.push(model.piece(token)));
    if (sentence) await endPassage(sentence, false);
    if (endsInLoop(tokens)) {
      finish = 'repetition';
      break;
    }
    token = await runner.forward(Int32Array.of(token), position + tokens.length - 1, {
      sample: true,
      signal,
    });
    passes++;
    if (onInsight && performance.now() - toldAt >= insightMs) tell();
  }
  const tokensPerSecond = rate() ?? 0;
  sentences.push(stream.end());
  const rest = sentences.end();
  if (rest) await endPassage(rest, true);
  return {
    text: stream.text,
    finish,
    firstTokenAt,
    tokensPerSecond,
    attention: tell(),
    steps: list.steps,
  };
}

/** Bytes of tokens in, whole characters out: a character may be spread over several tokens. */
class TextStream {
  readonly #decoder = new TextDecoder();
  readonly #onText: (text: string) => void;
  #text = '';
  #pending = '';
  #flushedAt = -Infinity;

  constructor(onText: (text: string) => void) {
    this.#onText = onText;
  }

  /** All characters so far. */
  get text(): string {
    return this.#text + this.#pending;
  }

  /** Returns the characters that these bytes complete. */
  push(bytes: Uint8Array): string {
    const piece = this.#decoder.decode(bytes, { stream: true });
    this.#pending += piece;
    if (performance.now() - this.#flushedAt >= flushMs) this.#flush();
    return piece;
  }

  /** Sends what is left, and returns what was not given out before. */
  end(): string {
    const piece = this.#decoder.decode();
    this.#pending += piece;
    this.#flush();
    return piece;
  }

  #flush(): void {
    if (this.#pending === '') return;
    this.#onText(this.#pending);
    this.#text += this.#pending;
    this.#pending = '';
    this.#flushedAt = performance.now();
  }
}
