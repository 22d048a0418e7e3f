/** Reading a repository of real text into the store, beside llama.cpp's plain prefill of 512 tokens. */
import { compare, machine, type Figure, type Suite, type SuiteOptions } from './figure.ts';
import { modelPath } from './model.ts';
import { buildPeer, measurePeer } from './peer.ts';
import type { RepositoryMeasurement, RepositoryResult } from './repository-ours.ts';
import { runScript } from './script.ts';
import { withTemporaryFolder } from './temporary.ts';

/** Tokens of the repository; a quick small one is half as long, as it is one segment that cannot be sampled. */
const SIZES: Record<string, { full: number; quick: number }> = {
  repo4k: { full: 4_096, quick: 2_048 },
  repo10k: { full: 10_000, quick: 10_000 },
  repo100k: { full: 100_000, quick: 100_000 },
  repo1m: { full: 1_000_000, quick: 1_000_000 },
};
/** Tokens that are prefilled of a repository, beside the frame: of a large one an even sample. */
const SAMPLE = { full: 100_000, quick: 2_000 };
const SMALL = 'repo4k';

export const repositoryPrefill: Suite = { cases: Object.keys(SIZES), run: measure };

/** llama-bench, the small repository, the one that is asked for, and llama-bench again. */
async function measure(name: string, options: SuiteOptions): Promise<Figure[]> {
  const { threads, quick, say } = options;
  const model = await modelPath(options.model);
  say('building llama-bench unless it is there');
  await buildPeer();
  const peer: number[] = [];
  const runPeer = async () => {
    say(`prefill ${name}: llama-bench`);
    const shape = { kind: 'prefill', depth: 0, tokens: 512, repeats: quick ? 1 : 3, threads, model } as const;
    peer.push(...(await measurePeer(shape)));
  };
  const read = (size: string) => {
    say(`prefill ${name}: reading ${size}`);
    return withTemporaryFolder((store) =>
      readRepository({
        ...{
          repo: options.repo,
          tokens: SIZES[size]?.[quick ? 'quick' : 'full'] ?? 0,
          sample: SAMPLE[quick ? 'quick' : 'full'],
        },
        ...{ store, threads, model },
      }),
    );
  };
  await runPeer();
  if (options.peerOnly) return [speed(name, options, undefined, peer, 'llama-bench 0.5.0 pp512, -fa 1')];
  const small = name === SMALL || quick ? undefined : await read(SMALL);
  const result = await read(name);
  await runPeer();
  const figures = [
    speed(name, options, result, peer, 'llama-bench 0.5.0 pp512, -fa 1'),
    ...shares(name, options, result),
  ];
  if (small) figures.push(speed(name, options, result, [rateOf(small)], 'RepoWave, repo4k'));
  return figures;
}

async function readRepository(measurement: RepositoryMeasurement): Promise<RepositoryResult> {
  return (await runScript('repository-ours.ts', measurement)) as RepositoryResult;
}

function rateOf({ prefillTokens, prefillMs }: RepositoryResult): number {
  return (prefillTokens * 1000) / prefillMs;
}

function speed(
  name: string,
  options: SuiteOptions,
  result: RepositoryResult | undefined,
  peer: number[],
  peerName: string,
): Figure {
  return compare({
    ...{ suite: 'prefill', case: name, metric: 'tokensPerSecond', unit: 'tokens/s', peerName, peer },
    ours: result ? [rateOf(result)] : [],
    conditions: { ...machine(options), ...(result && conditionsOf(result)) },
  });
}

function shares(name: string, options: SuiteOptions, result: RepositoryResult): Figure[] {
  const { indexMs, prefillMs, indexBytes, kvBytes } = result;
  const shared = { suite: 'prefill', case: name, unit: '%', peer: [], peerName: null };
  const conditions = { ...machine(options), ...conditionsOf(result) };
  return [
    compare({ ...shared, metric: 'indexShareOfTime', ours: [(100 * indexMs) / prefillMs], conditions }),
    compare({ ...shared, metric: 'diskShareOfTime', ours: [(100 * result.diskMs) / prefillMs], conditions }),
    compare({ ...shared, metric: 'indexBytesOfKvBytes', ours: [(100 * indexBytes) / kvBytes], conditions }),
  ];
}

function conditionsOf(result: RepositoryResult): Figure['conditions'] {
  const { prefillMs, indexMs, diskMs } = result;
  return {
    repositoryTokens: result.repositoryTokens,
    segments: result.segments,
    prefilledSegments: result.prefilledSegments,
    prefilledTokens: result.prefillTokens,
    sampled: result.prefilledSegments < result.segments,
    weightsAndAttentionSeconds: (prefillMs - indexMs - diskMs) / 1000,
    indexSeconds: indexMs / 1000,
    diskSeconds: diskMs / 1000,
  };
}
