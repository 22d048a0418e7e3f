/** `npm run eval -- gate`: how often each way to choose segments finds the right ones. */
import { headScores } from '../../backend/context/gate.ts';
import type { Question } from './corpus.ts';
import { headMassOf, type Lab } from './lab.ts';
import { widths, type Recall } from './outcomes.ts';

/** Asks every selector about every question; questions of one text are one. */
export async function gateRecall(
  lab: Lab,
  questions: Question[],
  onRecall: (recall: Recall) => void,
): Promise<Recall[]> {
  const recalls: Recall[] = [];
  const distinct = questions.filter(
    ({ question }, i) => questions.findIndex((other) => other.question === question) === i,
  );
  for (const [i, question] of distinct.entries()) {
    lab.options.say(`${i + 1}/${distinct.length} ${question.id}`);
    const right = lab.rightSegments(question);
    const { id, type } = question;
    for (const [selector, choices] of await choicesOf(lab, question)) {
      const found = choices.map((chosen) => right.every((segment) => chosen.includes(segment)));
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
  const scores = headScores(await headMassOf(lab, question, lab.heads, ids), ids.length);
  return [...ids.keys()].sort((a, b) => scores[b]! - scores[a]!).map((i) => ids[i]!);
}
