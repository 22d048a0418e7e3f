/** What came out of the questions, and the tables of it. */
import { allTypes, type Question, type QuestionType } from './corpus.ts';
import type { Score } from './score.ts';
import { mean, signTest, wilson } from './statistics.ts';

/** One question under one variant. */
export interface Outcome extends Score {
  id: string;
  type: QuestionType;
  question: string;
  variant: string;
  /** Segments with full attention, and whether the right ones were among them. */
  visible: number;
  found: boolean;
  /** What was answered, when the model was free to. */
  answer?: string;
  /** What the question took, beside what was read once for all of them. */
  cost?: Cost;
}

export interface Cost {
  /** From the question to the last token of the answer. */
  ms: number;
  /** Tokens computed before the answer: the question, and what was looked up and read for it alone. */
  promptTokens: number;
  /** K, V and summaries that attention read per token of the answer. */
  bytesPerStep: number;
}

/** A question in all its parts: that about two constants is answered when both values are right. */
interface Case {
  type: QuestionType;
  exact: boolean;
  found: boolean;
}

/** About so many questions of each of these types, spread over all; questions of one text stay together. */
export function spread(
  questions: readonly Question[],
  types: readonly QuestionType[],
  count: number,
): Question[] {
  return types.flatMap((type) => {
    const ofType = questions.filter((question) => question.type === type);
    const texts = [...new Set(ofType.map(({ question }) => question))];
    const wanted = Math.min(count, texts.length);
    const chosen = new Set(
      Array.from({ length: wanted }, (_, i) => texts[Math.floor(((i + 0.5) * texts.length) / wanted)]),
    );
    return ofType.filter(({ question }) => chosen.has(question));
  });
}

/** By question text, in order. */
function casesOf(outcomes: readonly Outcome[], variant: string): Map<string, Case> {
  const cases = new Map<string, Case>();
  for (const { type, question, exact, found } of outcomes.filter((outcome) => outcome.variant === variant)) {
    const key = `${type} ${question}`;
    cases.set(key, { type, found, exact: exact && (cases.get(key)?.exact ?? true) });
  }
  return cases;
}

/**
 * One row per variant: exact answers by type and in all, with their interval; wins and losses against the references;
 * divergence from the first variant.
 */
export function fidelityTable(outcomes: readonly Outcome[], references: readonly string[]): string {
  const variants = [...new Set(outcomes.map(({ variant }) => variant))];
  const types = allTypes.filter((type) => outcomes.some((outcome) => outcome.type === type));
  const byVariant = new Map(variants.map((variant) => [variant, casesOf(outcomes, variant)]));
  const costs = outcomes.some(({ cost }) => cost) ? ['s', 'read', 'MB/token'] : [];
  const head = ['variant', ...types, 'all', '95 %', ...costs, 'found', 'tokens', 'nll'];
  const rows = [[...head, ...references.map((name) => `against ${name}`), `KL ${variants[0]}`, 'top-1']];
  for (const variant of variants) {
    const cases = [...byVariant.get(variant)!.values()];
    const own = outcomes.filter((outcome) => outcome.variant === variant);
    const tokens = total(own.map((outcome) => outcome.tokens));
    const perToken = (sum: number, digits = 3) => (tokens > 0 ? (sum / tokens).toFixed(digits) : '-');
    const weigh = (key: 'nll' | 'kl' | 'agreement', digits?: number) =>
      perToken(total(own.map((outcome) => outcome[key] * outcome.tokens)), digits);
    const right = cases.filter(({ exact }) => exact).length;
    const interval = wilson(right, cases.length).map((share) => Math.round(share * 100));
    rows.push([
      variant,
      ...types.map((type) => ratio(cases.filter((item) => item.type === type))),
      ratio(cases),
      interval.join('-'),
      ...(costs.length > 0 ? costCells(own) : []),
      `${cases.filter(({ found }) => found).length}/${cases.length}`,
      perToken(total(own.map((outcome) => outcome.right))),
      weigh('nll'),
      ...references.map((name) => paired(byVariant.get(variant)!, byVariant.get(name))),
      weigh('kl', 4),
      weigh('agreement'),
    ]);
  }
  return table(rows);
}

/** Means per question: seconds, tokens read, and what attention read per token. */
function costCells(outcomes: readonly Outcome[]): string[] {
  const costs = outcomes.flatMap(({ cost }) => cost ?? []);
  if (costs.length === 0) return ['-', '-', '-'];
  return [
    mean(costs.map(({ ms }) => ms / 1_000)).toFixed(1),
    Math.round(mean(costs.map(({ promptTokens }) => promptTokens))).toString(),
    mean(costs.map(({ bytesPerStep }) => bytesPerStep / 1e6)).toFixed(1),
  ];
}

function paired(cases: Map<string, Case>, others: Map<string, Case> | undefined): string {
  if (!others || others === cases) return '-';
  const both = [...cases].map(([key, { exact }]) => [exact, others.get(key)?.exact] as const);
  const wins = both.filter(([own, other]) => own && other === false).length;
  const losses = both.filter(([own, other]) => !own && other === true).length;
  return `+${wins}/-${losses} p=${signTest(wins, losses).toFixed(3)}`;
}

const ratio = (cases: readonly Case[]) => `${cases.filter(({ exact }) => exact).length}/${cases.length}`;
const total = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0);

/** The widths of the gate whose recall is reported. */
export const widths = [1, 2, 4, 8] as const;

/** Where a selector put the segments that a question is about. */
export interface Recall {
  id: string;
  type: QuestionType;
  selector: string;
  /** For each of `widths`: whether all of them were among so many. */
  found: boolean[];
}

/** One row per selector: how often the right segments were among the first 1/2/4/8, by type and in all. */
export function recallTable(recalls: readonly Recall[]): string {
  const types = allTypes.filter((type) => recalls.some((recall) => recall.type === type));
  const cell = (items: readonly Recall[]) =>
    `${widths.map((_, i) => items.filter(({ found }) => found[i]).length).join('/')} of ${items.length}`;
  const rows = [...new Set(recalls.map(({ selector }) => selector))].map((selector) => {
    const own = recalls.filter((recall) => recall.selector === selector);
    return [selector, ...types.map((type) => cell(own.filter((recall) => recall.type === type))), cell(own)];
  });
  return table([[`found in ${widths.join('/')}`, ...types, 'all'], ...rows]);
}

/** The mean of 1/rank, ranks counted from 1. */
export function reciprocalRank(ranks: readonly number[]): number {
  return mean(ranks.map((rank) => 1 / rank));
}

/** Columns of text, the first row being the header. */
export function table(rows: readonly string[][]): string {
  const columns = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0)),
  );
  return rows
    .map((row) =>
      row
        .map((cell, i) => cell.padEnd(columns[i] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
