/** `npm run eval -- gate`: how often each way to choose segments finds the right ones. */
import { headScores } from '../../backend/context/gate.ts';
import { frameView } from '../../backend/context/views.ts';
import type { Question } from './corpus.ts';
import { force } from './fidelity.ts';
import type { Lab } from './lab.ts';
import { widths, type Recall } from './outcomes.ts';
import { scoreAnswer } from './score.ts';

export interface GateOptions {
  /** Whether the gate's widest choice is ranked by the likelihood of the question too: a pass per token and segment. */
  likelihood: boolean;
  onRecall: (recall: Recall) => void;
}

/** Asks every selector about every question; questions of one text are one. */
export async function gateRecall(
  lab: Lab,
  questions: Question[],
  { likelihood, onRecall }: GateOptions,
): Promise<Recall[]> {
  const recalls: Recall[] = [];
  const distinct = questions.filter(
    ({ question }, i) => questions.findIndex((other) => other.question === question) === i,
  );
  for (const [i, question] of distinct.entries()) {
    lab.options.say(`${i + 1}/${distinct.length} ${question.id}`);
    const right = lab.rightSegments(question);
    const { id, type } = question;
    const choices = await choicesOf(lab, question);
    if (likelihood) {
      const ranking = await rankByLikelihood(lab, question.question);
      choices.set(
        'likelihood',
        widths.map((width) => ranking.slice(0, width)),
      );
    }
    for (const [selector, chosenAt] of choices) {
      const found = chosenAt.map((chosen) => right.every((segment) => chosen.includes(segment)));
      const recall = { id, type, selector, found };
      recalls.push(recall);
      onRecall(recall);
    }
  }
  return recalls;
}

/** Per selector, the segments that it chooses at each of the widths. */
async function choicesOf(lab: Lab, { question }: Question): Promise<Map<string, number[][]>> {
  const cut = (ranking: number[]) => widths.map((width) => ranking.slice(0, width));
  const listing = new Set([...lab.segments.keys()].filter((id) => !lab.sources.includes(id)));
  const words = lab.snapshot.lexical.rank(question).segments.filter((id) => !listing.has(id));
  const choices = new Map([['bm25', cut(words)]]);
  if (lab.heads.length > 0) choices.set('heads', cut(await rankByHeads(lab, question)));
  const gate: number[][] = [];
  for (const width of widths) gate.push((await lab.chooseBy(width, question)).visible);
  choices.set('gate', gate);
  const auto = (await lab.chooseBy('auto', question)).visible;
  return choices.set(
    'gate-auto',
    widths.map(() => auto),
  );
}

async function rankByHeads(lab: Lab, question: string): Promise<number[]> {
  const ids = lab.sources;
  const scores = headScores(await lab.probe(question, lab.heads, ids), ids.length);
  return [...ids.keys()].sort((a, b) => scores[b]! - scores[a]!).map((i) => ids[i]!);
}

/** The gate's widest choice, by how likely the question is behind each of the segments. */
async function rankByLikelihood(lab: Lab, question: string): Promise<number[]> {
  const { session, frame } = lab;
  const { visible } = await lab.chooseBy(widths.at(-1)!, question);
  const { model } = lab.runner;
  const [{ tokens: opening }, { tokens }] = await Promise.all([
    model.tokenize('\n\nQuestion:', false),
    model.tokenize(` ${question}`, false),
  ]);
  const nll = new Map<number, number>();
  for (const id of visible) {
    const view = { segment: lab.segments[id]!, detail: 'exact', bias: 0, position: frame.tokens } as const;
    session.reset([frameView(frame), view]);
    nll.set(id, scoreAnswer(await force(session, opening, tokens, lab.position), tokens).nll);
  }
  return visible.sort((a, b) => nll.get(a)! - nll.get(b)!);
}
