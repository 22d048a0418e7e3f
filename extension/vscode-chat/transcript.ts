/** An agent's messages and tools as one question, and the tool calls in what the model answers. Pure. */
import type { Asked } from './prompts.ts';

/** Characters of tool descriptions that a prompt may hold: an agent brings more than a small model can read. */
const MAX_TOOLS = 16_000;

export type Piece =
  | { kind: 'text'; text: string }
  | { kind: 'call'; name: string; input: object }
  | { kind: 'result'; text: string };

export interface Message {
  role: 'user' | 'assistant';
  pieces: Piece[];
}

export interface Tool {
  name: string;
  description: string;
  inputSchema?: object;
}

const OPEN = '<tool_call>';
const CLOSE = '</tool_call>';

/** The conversation as one text, the tools first, and its last request alone to choose files by. */
export function transcriptOf(messages: readonly Message[], tools: readonly Tool[]): Asked {
  const turns = messages.map(({ role, pieces }) => {
    const who = role === 'user' ? 'User' : 'Assistant';
    return `${who}: ${pieces.map(pieceText).join('\n')}`;
  });
  return { question: [toolText(tools), ...turns].filter(Boolean).join('\n\n'), about: lastRequest(messages) };
}

/** What a message costs when its tokens are counted. */
export const messageText = ({ pieces }: Message): string => pieces.map(pieceText).join('\n');

function pieceText(piece: Piece): string {
  switch (piece.kind) {
    case 'text':
      return piece.text;
    case 'call':
      return `${OPEN}${JSON.stringify({ name: piece.name, arguments: piece.input })}${CLOSE}`;
    case 'result':
      return `<tool_response>${piece.text}</tool_response>`;
  }
}

/** In the form in which the models of the catalogue were taught tools. */
function toolText(tools: readonly Tool[]): string {
  let room = MAX_TOOLS;
  const lines = tools.map(({ name, description, inputSchema }) =>
    JSON.stringify({ name, description, parameters: inputSchema ?? {} }),
  );
  const kept = lines.filter((line) => (room -= line.length) >= 0);
  if (kept.length === 0) return '';
  return `You may call one of these tools instead of answering, if the files do not tell:\n<tools>\n${kept.join('\n')}\n</tools>\nTo call one, answer with ${OPEN}{"name": …, "arguments": {…}}${CLOSE} only.`;
}

/** Agents wrap what the user has typed; everything around it is theirs. */
function lastRequest(messages: readonly Message[]): string {
  const texts = messages
    .filter(({ role }) => role === 'user')
    .map(({ pieces }) => pieces.flatMap((piece) => (piece.kind === 'text' ? [piece.text] : [])).join('\n'))
    .filter((text) => text.trim());
  const last = texts.at(-1) ?? '';
  return /<userRequest>([\s\S]*?)<\/userRequest>/.exec(last)?.[1]?.trim() ?? last;
}

export type Part = Exclude<Piece, { kind: 'result' }>;

/** Splits an answer into text and tool calls as it comes; `tools` false: all of it is text. */
export class AnswerParts {
  #held = '';

  constructor(private readonly tools: boolean) {}

  push(text: string): Part[] {
    if (!this.tools) return textPart(text);
    this.#held += text;
    const parts: Part[] = [];
    for (;;) {
      const start = this.#held.indexOf(OPEN);
      if (start < 0) break;
      const end = this.#held.indexOf(CLOSE, start);
      parts.push(...textPart(this.#held.slice(0, start)));
      this.#held = this.#held.slice(start);
      if (end < 0) return parts;
      const whole = this.#held.slice(0, end - start + CLOSE.length);
      parts.push(...(callPart(whole.slice(OPEN.length, -CLOSE.length)) ?? textPart(whole)));
      this.#held = this.#held.slice(whole.length);
    }
    const safe = this.#held.length - partOfMark(this.#held);
    parts.push(...textPart(this.#held.slice(0, safe)));
    this.#held = this.#held.slice(safe);
    return parts;
  }

  /** What is left: a call that was not closed may be whole all the same. */
  end(): Part[] {
    const held = this.#held;
    this.#held = '';
    const call = held.startsWith(OPEN) ? callPart(held.slice(OPEN.length)) : undefined;
    return call ?? textPart(held);
  }
}

const textPart = (text: string): Part[] => (text ? [{ kind: 'text', text }] : []);

function callPart(json: string): Part[] | undefined {
  try {
    const { name, arguments: input } = JSON.parse(json) as { name?: unknown; arguments?: unknown };
    if (typeof name !== 'string' || typeof input !== 'object' || input === null) return undefined;
    return [{ kind: 'call', name, input }];
  } catch {
    return undefined;
  }
}

/** How many characters at the end may be the beginning of a tool call's mark. */
function partOfMark(text: string): number {
  for (let length = Math.min(OPEN.length - 1, text.length); length > 0; length--) {
    if (text.endsWith(OPEN.slice(0, length))) return length;
  }
  return 0;
}
