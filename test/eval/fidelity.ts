/** `npm run eval -- fidelity`: the same questions under several ways to attend. */
import { frameView } from '../../backend/context/views.ts';
import type { NativeSession, View } from '../../backend/engine/native.ts';
import type { Question } from './corpus.ts';
import { Embedder } from './embedder.ts';
import type { Lab } from './lab.ts';
import type { Outcome } from './outcomes.ts';
import { Pieces } from './pieces.ts';
import { scoreAnswer, scoreText } from './score.ts';
import type { Variant } from './variants.ts';

/** Tokens of one forward pass. */
const batch = 512;

export interface FidelityOptions {
  /** The first one is what the others' logits are compared with. */
  variants: Variant[];
  onOutcome: (outcome: Outcome) => void;
}

/** Asks every question of every variant, in this order. */
export async function fidelity(
  lab: Lab,
  questions: Question[],
  options: FidelityOptions,
): Promise<Outcome[]> {
  const { variants, onOutcome } = options;
  const peers = await Peers.for(lab, variants);
  const outcomes: Outcome[] = [];
  for (const [i, question] of questions.entries()) {
    lab.options.say(`${i + 1}/${questions.length} ${question.id}`);
    const gold = await lab.goldOf(question);
    let reference: Float32Array[] | undefined;
    const judged = async (variant: Variant) => {
      const startedAt = performance.now();
      const trial = await peers.ask(question, gold, variant);
      const { visible, found, promptTokens, bytesPerStep } = trial;
      const cost = { ms: performance.now() - startedAt, promptTokens, bytesPerStep };
      const { id, type, question: text } = question;
      const about = { id, type, question: text, variant: variant.name, visible, found, cost };
      if (trial.text !== undefined)
        return { ...about, ...scoreText(trial.text, question), answer: trial.text };
      reference ??= trial.steps;
      return { ...about, ...scoreAnswer(trial.steps, gold, reference) };
    };
    for (const variant of variants) {
      const outcome = variant.free ? await answerFreely(lab, question, variant) : await judged(variant);
      outcomes.push(outcome);
      onOutcome(outcome);
    }
  }
  peers.close();
  return outcomes;
}

/** The product's own answer is right when the value is in it; there are no tokens of it to compare. */
async function answerFreely(lab: Lab, question: Question, variant: Variant): Promise<Outcome> {
  const { answer, gate } = await lab.answer({
    question: question.question,
    gate: variant.width,
    mode: variant.inside,
    others: variant.others ? 'estimate' : 'mask',
  });
  const seen = [...(gate?.segments ?? []), ...(gate?.looks ?? []).map(({ added }) => added)];
  const { id, type, question: text, paths } = question;
  return {
    ...{ id, type, question: text, variant: variant.name, visible: seen.length },
    found: paths.every((path) => seen.some((segment) => segment.paths.includes(path))),
    ...scoreText(answer, question),
    answer,
  };
}

/** Whether the text can be read in sequence, with a question and its answer behind it. */
export function fitsWindow(lab: Lab): boolean {
  return lab.tokens + batch <= lab.runner.model.info.trainedContext;
}

interface Trial {
  /** Logits of each step of the right answer. */
  steps: Float32Array[];
  /** The answer, where the question asks for a free one. */
  text: string | undefined;
  /** How many segments got full attention, and whether the right ones, or for pieces the right files, were among them. */
  visible: number;
  found: boolean;
  promptTokens: number;
  bytesPerStep: number;
}

/** The ways to read that need more than the lab's segments: prepared once, each question behind them in turn. */
class Peers {
  private constructor(
    private readonly lab: Lab,
    private readonly texts: Map<Variant['sees'], Sequence>,
    private readonly pieces: Pieces | undefined,
    private readonly embedder: Embedder | undefined,
  ) {}

  static async for(lab: Lab, variants: readonly Variant[]): Promise<Peers> {
    const sees = new Set(variants.map((variant) => variant.sees));
    const texts = new Map<Variant['sees'], Sequence>();
    if (sees.has('text')) texts.set('text', await Sequence.read(lab, Infinity));
    if (sees.has('cut'))
      texts.set(
        'cut',
        (fitsWindow(lab) && texts.get('text')) || (await Sequence.read(lab, longestText(lab))),
      );
    const pieces = sees.has('pieces') ? await Pieces.of(lab) : undefined;
    const embedder = variants.some(({ embeds }) => embeds) ? await Embedder.start() : undefined;
    return new Peers(lab, texts, pieces, embedder);
  }

  async ask(question: Question, gold: Int32Array, variant: Variant): Promise<Trial> {
    const { lab, pieces } = this;
    const text = this.texts.get(variant.sees);
    if (text) return text.ask(question, gold);
    if (!pieces || variant.sees !== 'pieces') return askSegments(lab, question, gold, variant);
    const { tokens, paths } = await pieces.before(
      question.question,
      variant.embeds ? this.embedder : undefined,
    );
    const { session } = lab;
    session.reset([]);
    const prompt = Int32Array.from([...tokens, ...(await lab.promptOf(question))]);
    const spoken = await speak(lab, session, { question, gold, prompt, position: 0 });
    const found = question.paths.every((path) => paths.includes(path));
    return { ...spoken, visible: 0, found };
  }

  close(): void {
    for (const text of new Set(this.texts.values())) text.close();
    this.embedder?.close();
  }
}

async function askSegments(lab: Lab, question: Question, gold: Int32Array, variant: Variant): Promise<Trial> {
  const { session } = lab;
  const { visible, hints } = await look(lab, question, variant);
  session.setBudget(variant.budget);
  session.reset(viewsOf(lab, new Set(visible), variant));
  const prompt = await lab.promptOf(question, variant.paths ? hints : undefined);
  const found = lab.rightSegments(question).every((segment) => visible.includes(segment));
  const spoken = await speak(lab, session, { question, gold, prompt, position: lab.position });
  return { ...spoken, visible: visible.length, found };
}

/** What gets full attention, and what is said before the question. */
async function look(lab: Lab, question: Question, { sees, width }: Variant) {
  if (sees === 'right') {
    return { visible: lab.rightSegments(question), hints: { paths: question.paths, settings: [] } };
  }
  return lab.chooseBy(sees === 'all' ? 'off' : width, question.question);
}

function viewsOf(
  { frame, segments }: Lab,
  visible: ReadonlySet<number>,
  { inside, others }: Variant,
): View[] {
  const position = frame.tokens;
  const views = segments.flatMap((segment, id): View[] => {
    if (visible.has(id)) return [{ segment, detail: inside, bias: 0, position }];
    return others ? [{ segment, ...others, position }] : [];
  });
  return [frameView(frame), ...views];
}

/** So much of the text that a question and its answer fit behind it. */
function longestText({ runner }: Lab): number {
  return runner.model.info.trainedContext - 2 * batch;
}

/** The beginning of the text as one sequence, as llama.cpp would read it: computed once. */
class Sequence {
  private constructor(
    private readonly lab: Lab,
    private readonly session: NativeSession,
    private readonly tokens: number,
    private readonly isWhole: boolean,
  ) {}

  static async read(lab: Lab, longest: number): Promise<Sequence> {
    const session = lab.newSession();
    const whole = await lab.wholeText();
    const text = whole.subarray(0, longest);
    session.reset([]);
    for (let start = 0; start < text.length; start += batch) {
      await session.forward(text.subarray(start, start + batch), start, false);
      lab.options.say(`reading in sequence ${Math.min(start + batch, text.length)}/${whole.length}`);
    }
    return new Sequence(lab, session, text.length, text.length === whole.length);
  }

  async ask(question: Question, gold: Int32Array): Promise<Trial> {
    const { lab, session, tokens, isWhole } = this;
    const prompt = await lab.promptOf(question);
    const spoken = await speak(lab, session, { question, gold, prompt, position: tokens });
    session.truncate(tokens);
    return { ...spoken, visible: lab.segments.length, found: isWhole };
  }

  close(): void {
    this.session.close();
  }
}

interface Prompt {
  question: Question;
  gold: Int32Array;
  prompt: Int32Array;
  position: number;
}

/** Lets the model say the right answer, or its own where the question has several parts. */
async function speak(
  lab: Lab,
  session: NativeSession,
  { question, gold, prompt, position }: Prompt,
): Promise<Pick<Trial, 'steps' | 'text' | 'promptTokens' | 'bytesPerStep'>> {
  const free = question.golds !== undefined;
  const steps = free ? [] : await force(session, prompt, gold, position);
  const text = free
    ? await generate(lab, session, { prompt, position, room: question.room ?? batch })
    : undefined;
  const { bytesPerStep } = session.attentionReport();
  return { steps, text, promptTokens: prompt.length, bytesPerStep };
}

async function readPrompt(session: NativeSession, prompt: Int32Array, position: number): Promise<void> {
  const last = prompt.length - 1;
  for (let start = 0; start < last; start += batch) {
    await session.forward(prompt.subarray(start, Math.min(last, start + batch)), position + start, false);
  }
  session.startEvidence();
}

/** The logits of each step of the right answer, which is written whatever the model would have said. */
export async function force(
  session: NativeSession,
  prompt: Int32Array,
  gold: Int32Array,
  position: number,
): Promise<Float32Array[]> {
  const last = prompt.length - 1;
  await readPrompt(session, prompt, position);
  const steps: Float32Array[] = [];
  for (let i = 0; i < gold.length; i++) {
    const token = i === 0 ? prompt[last]! : gold[i - 1]!;
    await session.forward(Int32Array.of(token), position + last + i, true);
    steps.push(session.logits().slice());
  }
  return steps;
}

/** The most likely tokens one after another, as text. */
async function generate(
  { runner: { model } }: Lab,
  session: NativeSession,
  { prompt, position, room }: { prompt: Int32Array; position: number; room: number },
): Promise<string> {
  await readPrompt(session, prompt, position);
  const bytes: Buffer[] = [];
  let token = prompt.at(-1)!;
  for (let i = 0; i < room; i++) {
    token = await session.forward(Int32Array.of(token), position + prompt.length - 1 + i, true);
    if (model.isEndOfGeneration(token)) break;
    bytes.push(model.piece(token));
  }
  return Buffer.concat(bytes).toString('utf8');
}
