/** `npm run eval -- heads`: finds the heads of a model that look at the segment where an answer lies. */
import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { headScores } from '../../backend/context/gate.ts';
import type { Head } from '../../backend/engine/native.ts';
import type { Question } from './corpus.ts';
import type { Lab } from './lab.ts';
import { reciprocalRank } from './outcomes.ts';

const headsFile = fileURLToPath(new URL('../../backend/models/heads.json', import.meta.url));

/** Of one question: the mass of each head on each segment, [heads][segments], and the segment that it is about. */
export interface HeadTrial {
  mass: Float32Array;
  segments: number;
  right: number;
}

export interface HeadChoice {
  heads: { head: Head; reciprocalRank: number }[];
  /** Mean reciprocal rank of the heads together, chosen on one half of the questions and tried on the other. */
  heldOut: number;
  /** Chosen on all and tried on all. */
  inSample: number;
}

/** Runs the questions, which must be about one segment each. */
export async function headTrials(lab: Lab, questions: Question[]): Promise<HeadTrial[]> {
  const ids = lab.sources;
  const heads = allHeads(lab);
  const trials: HeadTrial[] = [];
  for (const [i, question] of questions.entries()) {
    lab.options.say(`${i + 1}/${questions.length} ${question.id}`);
    const [right] = lab.rightSegments(question);
    const mass = await lab.probe(question.question, heads, ids);
    trials.push({ mass, segments: ids.length, right: ids.indexOf(right!) });
  }
  return trials;
}

export function allHeads({ runner }: Lab): Head[] {
  const { layers, queryHeads } = runner.model.info;
  return Array.from({ length: layers * queryHeads }, (_, i): Head => [
    Math.floor(i / queryHeads),
    i % queryHeads,
  ]);
}

/** The `count` heads that rank the right segment best, each on its own, tried together as the gate uses them. */
export function chooseHeads(trials: readonly HeadTrial[], heads: readonly Head[], count: number): HeadChoice {
  const halves = [0, 1].map((half) => trials.filter((_, i) => i % 2 === half));
  const heldOut = halves.flatMap((half, i) =>
    ranksTogether(half, bestHeads(halves[1 - i]!, heads.length, count)),
  );
  const best = bestHeads(trials, heads.length, count);
  return {
    heads: best.map((index) => ({
      head: heads[index]!,
      reciprocalRank: reciprocalRank(ranksOf(trials, index)),
    })),
    heldOut: reciprocalRank(heldOut),
    inSample: reciprocalRank(ranksTogether(trials, best)),
  };
}

/** Indexes, best first. */
function bestHeads(trials: readonly HeadTrial[], heads: number, count: number): number[] {
  const quality = Array.from({ length: heads }, (_, index) => reciprocalRank(ranksOf(trials, index)));
  return [...quality.keys()].sort((a, b) => quality[b]! - quality[a]! || a - b).slice(0, count);
}

function ranksOf(trials: readonly HeadTrial[], head: number): number[] {
  return trials.map(({ mass, segments, right }) =>
    rankOf(mass.subarray(head * segments, (head + 1) * segments), right),
  );
}

function ranksTogether(trials: readonly HeadTrial[], heads: readonly number[]): number[] {
  return trials.map(({ mass, segments, right }) => {
    const chosen = heads.flatMap((head) => [...mass.subarray(head * segments, (head + 1) * segments)]);
    return rankOf(headScores(Float32Array.from(chosen), segments), right);
  });
}

/** From 1; what has as much counts as before it. */
function rankOf(scores: ArrayLike<number>, right: number): number {
  return 1 + Array.from(scores).filter((score, i) => i !== right && !(score < scores[right]!)).length;
}

/** Puts a model's heads into the product's list, in the order of its layers, beside those of other models. */
export async function writeHeads(model: string, heads: readonly Head[]): Promise<void> {
  const all = JSON.parse(await readFile(headsFile, 'utf8')) as Record<string, Head[]>;
  all[model] = [...heads].sort(([a, b], [c, d]) => a - c || b - d);
  const entries = Object.keys(all)
    .sort()
    .map(
      (id) => `  ${JSON.stringify(id)}: [\n${all[id]!.map(([l, h]) => `    [${l}, ${h}]`).join(',\n')}\n  ]`,
    );
  await writeFile(headsFile, `{\n${entries.join(',\n')}\n}\n`);
}
