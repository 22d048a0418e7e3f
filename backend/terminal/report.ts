/** What is printed after an answer, and the line that `--json` prints instead. */
import type {
  AskResult,
  Check,
  Citation,
  ContextReport,
  ExcludedFile,
  GateSegment,
  IndexResult,
  MemoryReport,
  ModelInfo,
  PrefillReport,
} from '../protocol.ts';
import { bytes, count, duration, files, printableName, type Paint } from './text.ts';

/** One line of `--json`: the stable interface of docs/cli.md. */
export function jsonLine(id: string, question: string, result: AskResult): string {
  const { answer, citations, timing, memory, mode, missed, gate, attention, steps, passages } = result;
  const { tokens, files, excluded, coverage, state, overBudget, synthetic } = result.context;
  return JSON.stringify({
    id,
    question,
    answer,
    citations,
    context: { tokens, files, excluded, coverage, state, overBudget, synthetic },
    timing,
    memory,
    mode,
    missed,
    gate,
    attention,
    steps,
    passages,
  });
}

/** What an answer rests on and what it cost. */
export function answerReport(result: AskResult, paint: Paint): string {
  const endings: Record<AskResult['finish'], string[]> = {
    stop: [],
    length: ['The answer was cut off: it used up its room.'],
    repetition: ['The answer was cut off: it began to repeat itself.'],
  };
  const { timing } = result;
  const speed =
    timing.decodeTokensPerSecond > 0 ? `, then ${timing.decodeTokensPerSecond.toFixed(1)} tokens/s` : '';
  return lines([
    ...endings[result.finish],
    ...(result.citations.length > 0
      ? [paint('bold', 'Rests on'), ...result.citations.map(citationLine)]
      : []),
    ...gateLines(result),
    ...contextLines(result.context),
    ...missedLines(result),
    row('Time', `first token after ${duration(timing.ttftMs)}${speed}${prefillClause(timing)}`),
    memoryLine(result.memory),
  ]);
}

/** What `index` found and did; `verbose` names every file that was left out. */
export function indexReport(result: IndexResult, verbose: boolean): string {
  const { excluded } = result.context;
  return lines([
    ...contextLines(result.context),
    row(
      'Prefill',
      result.timing.prefillTokens > 0
        ? prefilled(result.timing)
        : 'nothing to do, all of it was in the store',
    ),
    memoryLine(result.memory),
    ...(verbose
      ? excluded.map(({ file, reason }) => `  ${printableName(file)}: ${printableName(reason)}`)
      : []),
  ]);
}

export function modelsReport(models: ModelInfo[], paint: Paint): string {
  return lines(
    models.map((model) => {
      const place = model.path === null ? 'not downloaded' : printableName(model.path);
      const facts = [
        bytes(model.bytes),
        `${count(model.trainedContext)} tokens trained`,
        model.licence,
        place,
      ];
      return `${paint('bold', model.id)}${model.default ? ' (default)' : ''}\n  ${model.name}: ${facts.join(', ')}`;
    }),
  );
}

export function doctorReport(checks: Check[]): string {
  return lines(checks.map(({ ok, name, detail }) => `${ok ? '✓' : '✗'} ${name}: ${printableName(detail)}`));
}

/** `Read closely: lib/a.ts:1-120 (words), lib/b.ts:1-40 (heads); the other 97 % estimated` */
function gateLines({ gate, context }: AskResult): string[] {
  if (!gate) return [];
  const { segments, looks, others } = gate;
  const added = looks.map((look) => look.added);
  const places = [
    ...segments.map((segment) => `${place(segment)} (${segment.reason})`),
    ...added.map((segment) => `${place(segment)} (second look)`),
  ];
  const read = [...segments, ...added].reduce((sum, { tokens }) => sum + tokens, 0);
  const rest = Math.max(0, Math.round(100 * (1 - read / context.tokens)));
  const how = { exact: 'turned down', coarse: 'estimated', masked: 'left out' }[others];
  return [`Read closely: ${places.join(', ')}; the other ${rest} % ${how}`];
}

function place({ paths, startLine, endLine }: GateSegment): string {
  const [first, ...more] = paths;
  if (first === undefined) return 'the list of files';
  if (more.length > 0) return `${printableName(first)} and ${count(more.length)} more`;
  return `${printableName(first)}:${startLine}-${endLine}`;
}

function contextLines({
  tokens,
  files: kept,
  excluded,
  coverage,
  synthetic,
  ...rest
}: ContextReport): string[] {
  const share = coverage < 1 ? `, ${percent(coverage)} of them read` : '';
  return [
    ...(synthetic ? [row('SYNTHETIC', 'made up to measure speed: the answer means nothing')] : []),
    row('Context', `${count(tokens)} tokens from ${files(kept)}${share}`),
    row('Left out', excluded.length > 0 ? leftOut(excluded) : 'nothing'),
    ...overLines(rest),
  ];
}

/** What did not fit, and what to do. */
function overLines({ overBudget, budget }: Pick<ContextReport, 'overBudget' | 'budget'>): string[] {
  if (!overBudget) return [];
  const { files: number, tokens } = overBudget;
  const what = `${files(number)} of about ${count(tokens)} tokens beyond the limit of ${count(budget)}`;
  return [row('Too much', `${what} are not in context: name what matters least in .repowave.json`)];
}

/** What an answer from a part of the repository may lack. */
function missedLines({ context, missed }: AskResult): string[] {
  if (context.coverage === 1) return [];
  const files =
    missed.length > 0
      ? `${missed.map(printableName).join(', ')} look like they matter`
      : 'none that looks like it matters';
  return [row('Not read', `${files}; --wait all reads everything before the answer`)];
}

/** Rounded down, so that 100 % is all. */
const percent = (share: number): string => `${Math.floor(share * 100)} %`;

/** `7 files: 4 binary, 3 lock file` */
function leftOut(excluded: ExcludedFile[]): string {
  const byReason = new Map<string, number>();
  let total = 0;
  for (const { reason } of excluded) {
    // A whole folder is one entry that says how many files it stands for; details of one file are not for a sum.
    const covered = Number(/\((\d+) files\)$/.exec(reason)?.[1] ?? 1);
    const kind = reason.replace(/[:(].*/, '').trim();
    byReason.set(kind, (byReason.get(kind) ?? 0) + covered);
    total += covered;
  }
  const groups = [...byReason]
    .sort(([, a], [, b]) => b - a)
    .map(([kind, n]) => `${count(n)} ${printableName(kind)}`);
  return `${files(total)}: ${groups.join(', ')}`;
}

function citationLine({ file, startLine, endLine, mass }: Citation): string {
  const share = mass === undefined ? '' : `${Math.round(mass * 100)} %`;
  const place = startLine === endLine ? String(startLine) : `${startLine}-${endLine}`;
  return `  ${share.padStart(5)}  ${printableName(file)}:${place}`;
}

function prefillClause(timing: PrefillReport): string {
  return timing.prefillTokens > 0 ? ` (${prefilled(timing)})` : '';
}

function prefilled({ prefillTokens, prefillMs }: PrefillReport): string {
  const rate = prefillMs > 0 ? `, ${count(Math.round((prefillTokens * 1000) / prefillMs))} tokens/s` : '';
  return `${count(prefillTokens)} tokens read in ${duration(prefillMs)}${rate}`;
}

function memoryLine(memory: MemoryReport): string {
  const { ramBytes, keptBytes, capBytes, gpuBytes, hits, misses, readBytes, diskBytes } = memory;
  const kept = `${bytes(keptBytes)} of at most ${bytes(capBytes)} for the repository`;
  const found = hits + misses > 0 ? `, ${percent(hits / (hits + misses))} of the clusters found there` : '';
  const read = `disk ${bytes(diskBytes)}, of which ${bytes(readBytes)} read`;
  const line = row('Memory', `RAM ${bytes(ramBytes)} (${kept}${found}), ${read}, GPU ${bytes(gpuBytes)}`);
  return memory.gpu === undefined ? line : `${line}\n${row('GPU', memory.gpu)}`;
}

const row = (name: string, text: string): string => `${name.padEnd(10)}${text}`;
const lines = (all: string[]): string => all.map((line) => `${line}\n`).join('');
