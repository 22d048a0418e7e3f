/** What the commands about the store say. */
import type { Client } from '../client.ts';
import { ErrorCode, VerifyRequest } from '../protocol.ts';
import type { PruneReport, StoredRepository, StoreReport, VerifyParams, VerifyReport } from '../protocol.ts';
import { PhaseDisplay } from './phases.ts';
import { bytes, count, files, printableName, type Paint } from './text.ts';

export function storeReport(report: StoreReport, paint: Paint): string {
  const { directory, repositories } = report;
  return lines([
    `${printableName(directory)}: ${sizes(report)}`,
    ...repositories.flatMap((repository) => repositoryLines(repository, paint)),
    ...(report.bytes > 0 ? ['It holds nothing that cannot be computed again.'] : []),
  ]);
}

export function sizeReport(report: Pick<StoreReport, 'bytes' | 'limitBytes' | 'unneededBytes'>): string {
  return `${sizes(report)}\n`;
}

function sizes({
  bytes: taken,
  limitBytes,
  unneededBytes,
}: Pick<StoreReport, 'bytes' | 'limitBytes' | 'unneededBytes'>): string {
  const spare = unneededBytes > 0 ? `; \`repowave store prune\` frees ${bytes(unneededBytes)}` : '';
  return `${bytes(taken)} of ${bytes(limitBytes)} that it may take without --disk${spare}`;
}

function repositoryLines(repository: StoredRepository, paint: Paint): string[] {
  const { root, model, tokens, storedTokens, states, segments, usedMs } = repository;
  const share = storedTokens < tokens ? `, ${Math.floor((100 * storedTokens) / tokens)} % of them read` : '';
  const facts = [
    `${count(tokens)} tokens${share}`,
    `${count(segments)} segments${states > 1 ? ` of ${states} states` : ''}`,
    bytes(repository.bytes),
    `last used ${new Date(usedMs).toISOString().slice(0, 16).replace('T', ' ')}`,
  ];
  return [`${paint('bold', printableName(root))} (${printableName(model)})`, `  ${facts.join(', ')}`];
}

/**
 * Checks the store.
 * @returns the exit code
 */
export async function runVerify(
  client: Client,
  params: VerifyParams,
  { json, signal }: { json: boolean; signal: AbortSignal },
): Promise<number> {
  const display = new PhaseDisplay();
  const report = await client
    .request(VerifyRequest, params, {
      signal,
      onProgress: (value) => value.kind === 'phase' && display.show(value),
    })
    .finally(() => display.clear());
  process.stdout.write(json ? `${JSON.stringify(report)}\n` : verifyReport(report));
  return report.damaged.length > 0 ? ErrorCode.environment : 0;
}

export function verifyReport({ segments, bytes: checked, damaged }: VerifyReport): string {
  const all = `${count(segments)} segments, ${bytes(checked)}`;
  if (damaged.length === 0) return `${all}: all of them are whole\n`;
  return lines([
    `${all}: ${count(damaged.length)} damaged; they are never used, and read again when they are needed`,
    ...damaged.map(({ file, reason }) => `  ${printableName(file)}: ${printableName(reason)}`),
  ]);
}

export function pruneReport(
  { files: number, bytes: freed, leftBytes }: PruneReport,
  dryRun: boolean,
): string {
  const [verb, left] = dryRun ? ['would go', 'would stay'] : ['cleared away', 'left'];
  return `${files(number)}, ${bytes(freed)} ${verb}; ${bytes(leftBytes)} ${left}\n`;
}

const lines = (all: string[]): string => all.map((line) => `${line}\n`).join('');
