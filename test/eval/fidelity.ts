/** `npm run eval -- fidelity`: the same questions under several ways to attend. */
import { frameView } from '../../backend/context/views.ts';
import type { NativeSession, View } from '../../backend/engine/native.ts';
import type { Question } from './corpus.ts';
import type { Lab } from './lab.ts';
import type { Outcome } from './outcomes.ts';
import { scoreAnswer, type Score } from './score.ts';
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
  const whole = variants.some(({ sees }) => sees === 'text') ? await WholeText.read(lab) : undefined;
  const outcomes: Outcome[] = [];
  for (const [i, question] of questions.entries()) {
    lab.options.say(`${i + 1}/${questions.length} ${question.id}`);
    const gold = await lab.goldOf(question);
    let reference: Float32Array[] | undefined;
    const forced = async (variant: Variant) => {
      const { steps, visible } =
        variant.sees === 'text' ? await whole!.ask(question, gold) : await ask(lab, question, gold, variant);
      reference ??= steps;
      return outcomeOf(lab, question, variant, visible, scoreAnswer(steps, gold, reference));
    };
    for (const variant of variants) {
      const outcome = variant.free ? await answerFreely(lab, question, variant) : await forced(variant);
      outcomes.push(outcome);
      onOutcome(outcome);
    }
  }
  whole?.close();
  return outcomes;
}

function outcomeOf(
  lab: Lab,
  question: Question,
  { name }: Variant,
  visible: number[],
  score: Score,
): Outcome {
  const { id, type, question: text } = question;
  const found = lab.rightSegments(question).every((segment) => visible.includes(segment));
  return { id, type, question: text, variant: name, visible: visible.length, found, ...score };
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
  const { id, type, question: text, gold, paths } = question;
  return {
    ...{ id, type, question: text, variant: variant.name, visible: seen.length },
    found: paths.every((path) => seen.some((segment) => segment.paths.includes(path))),
    answer,
    ...{ exact: answer.includes(gold), tokens: 0, right: 0, nll: 0, kl: 0, agreement: 0 },
  };
}

/** Whether the text can be read in sequence, with a question and its answer behind it. */
export function fitsWindow(lab: Lab): boolean {
  return lab.tokens + batch <= lab.runner.model.info.trainedContext;
}

interface Trial {
  /** Logits of each step. */
  steps: Float32Array[];
  /** The segments that got full attention. */
  visible: number[];
}

async function ask(lab: Lab, question: Question, gold: Int32Array, variant: Variant): Promise<Trial> {
  const { session } = lab;
  const { visible, hints } = await look(lab, question, variant);
  session.setBudget(variant.budget);
  session.reset(viewsOf(lab, new Set(visible), variant));
  const prompt = await lab.promptOf(question, variant.paths ? hints : undefined);
  return { steps: await force(session, prompt, gold, lab.position), visible };
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

/** The whole text as one sequence, as llama.cpp would read it: computed once, each question behind it in turn. */
class WholeText {
  private constructor(
    private readonly lab: Lab,
    private readonly session: NativeSession,
    private readonly tokens: number,
  ) {}

  static async read(lab: Lab): Promise<WholeText> {
    const session = lab.newSession();
    const text = await lab.wholeText();
    session.reset([]);
    for (let start = 0; start < text.length; start += batch) {
      await session.forward(text.subarray(start, start + batch), start, false);
      lab.options.say(`reading in sequence ${Math.min(start + batch, text.length)}/${text.length}`);
    }
    return new WholeText(lab, session, text.length);
  }

  async ask(question: Question, gold: Int32Array): Promise<Trial> {
    const prompt = await this.lab.promptOf(question);
    const steps = await force(this.session, prompt, gold, this.tokens);
    this.session.truncate(this.tokens);
    return { steps, visible: [...this.lab.segments.keys()] };
  }

  close(): void {
    this.session.close();
  }
}

/** The logits of each step of the right answer, which is written whatever the model would have said. */
export async function force(
  session: NativeSession,
  prompt: Int32Array,
  gold: Int32Array,
  position: number,
): Promise<Float32Array[]> {
  const last = prompt.length - 1;
  for (let start = 0; start < last; start += batch) {
    await session.forward(prompt.subarray(start, Math.min(last, start + batch)), position + start, false);
  }
  const steps: Float32Array[] = [];
  for (let i = 0; i < gold.length; i++) {
    const token = i === 0 ? prompt[last]! : gold[i - 1]!;
    await session.forward(Int32Array.of(token), position + last + i, true);
    steps.push(session.logits().slice());
  }
  return steps;
}
