/** The answer: greedy decoding behind a prepared context, streamed as text. */
import type { AskResult } from '../protocol.ts';
import type { Runner } from './engine.ts';
import { endsInLoop } from './repetition.ts';

/** Text deltas are gathered for about this long, so that a fast model does not flood the connection. */
const flushMs = 30;

export interface Decoded {
  text: string;
  finish: AskResult['finish'];
  /** When the first token of the answer was known, as performance.now(). */
  firstTokenAt: number;
  /** Tokens per second after the first; 0 when there was only one. */
  tokensPerSecond: number;
  /** Attention mass per view and token, over the steps that chose the answer's tokens. */
  evidence: Float32Array[];
}

export interface AnswerOptions {
  /** The question with everything that stands around it. */
  question: Int32Array;
  /** Where it starts. */
  position: number;
  /** The most tokens of the answer. */
  room: number;
  signal: AbortSignal;
  onText: (text: string) => void;
}

/**
 * Runs the question and decodes until the model is done, the room is used up or it repeats itself.
 * The runner must have been reset to the views before.
 * @throws UserError `cancelled`
 */
export async function answer(runner: Runner, options: AnswerOptions): Promise<Decoded> {
  const { question, position, room, signal } = options;
  const last = question.length - 1;
  await runner.forward(question.subarray(0, last), position, { sample: false, signal });
  runner.session.startEvidence();
  let token = await runner.forward(question.subarray(last), position + last, { sample: true, signal });
  const firstTokenAt = performance.now();

  const stream = new TextStream(options.onText);
  const tokens: number[] = [];
  let finish: AskResult['finish'] = 'length';
  while (tokens.length < room) {
    if (runner.model.isEndOfGeneration(token)) {
      finish = 'stop';
      break;
    }
    tokens.push(token);
    stream.push(runner.model.piece(token));
    if (endsInLoop(tokens)) {
      finish = 'repetition';
      break;
    }
    token = await runner.forward(Int32Array.of(token), position + last + tokens.length, {
      sample: true,
      signal,
    });
  }
  const seconds = (performance.now() - firstTokenAt) / 1000;
  return {
    text: stream.end(),
    finish,
    firstTokenAt,
    tokensPerSecond: tokens.length > 1 && seconds > 0 ? tokens.length / seconds : 0,
    evidence: runner.session.takeEvidence(),
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

  push(bytes: Uint8Array): void {
    this.#pending += this.#decoder.decode(bytes, { stream: true });
    if (performance.now() - this.#flushedAt >= flushMs) this.#flush();
  }

  /** Sends what is left and returns everything. */
  end(): string {
    this.#pending += this.#decoder.decode();
    this.#flush();
    return this.#text;
  }

  #flush(): void {
    if (this.#pending === '') return;
    this.#onText(this.#pending);
    this.#text += this.#pending;
    this.#pending = '';
    this.#flushedAt = performance.now();
  }
}
