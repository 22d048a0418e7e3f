/** Decoding behind deep contexts: ours over stored segments, llama.cpp over a K/V cache that holds as many tokens. */
import { filledCache, measureFilled } from './depth-peer.ts';
import type { DepthMeasurement, DepthResult } from './depth-ours.ts';
import { compare, machine, type Figure, type Suite, type SuiteOptions } from './figure.ts';
import { modelPath } from './model.ts';
import { buildPeer, measurePeer } from './peer.ts';
import { planFor, sum, type Plan } from './plan.ts';
import { runScript } from './script.ts';
import { syntheticSegments, writeSegments } from './synthetic.ts';
import { withTemporaryFolder } from './temporary.ts';

export const DEPTHS = { '4k': 4_096, '32k': 32_768, '128k': 131_072, '512k': 524_288, '1m': 1_048_576 };
const CHECK_DEPTH = { quick: 2_048, full: 8_192 };

const cases: Record<string, (options: SuiteOptions) => Promise<Figure[]>> = {
  '32k': (options) => againstPeer('32k', options),
  '128k': (options) => againstPeer('128k', options),
  scaling: (options) => scaling(options),
  evidence: evidenceCost,
  'peer-check': checkPeer,
};

export const deepDecode: Suite = {
  cases: Object.keys(cases),
  run: async (name, options) => (await cases[name]?.(options)) ?? [],
};

/** Turn by turn with llama.cpp. */
async function againstPeer(name: keyof typeof DEPTHS, options: SuiteOptions): Promise<Figure[]> {
  const { quick, threads, peerOnly, say } = options;
  const depth = DEPTHS[name];
  const [rounds, tokens, peerTokens] = quick ? [1, 32, 2] : [3, 64, 8];
  const model = await modelPath(options.model);
  const plan = planFor(depth);
  return withTemporaryFolder(async (folder) => {
    say(`decode ${name}: writing synthetic segments`);
    if (!peerOnly) await writeSegments(folder, model, [plan]);
    const measurement = { folder, plans: [plan], tokens, rounds: 2, threads, model };
    const [ours, peer]: [DepthResult[], number[]] = [[], []];
    for (let round = 1; round <= rounds; round++) {
      say(`decode ${name}, round ${round} of ${rounds}`);
      if (!peerOnly) ours.push(await measureOurs(measurement));
      peer.push(...(await measureFilled({ depth, tokens: peerTokens, repeats: 2, threads, model })));
    }
    const figure = compare({
      ...{ suite: 'decode', case: name, metric: 'tokensPerSecond', unit: 'tokens/s' },
      ...{ ours: ours.flatMap(({ plans }) => plans[0]?.samples ?? []), peer, peerName: filledCache },
      conditions: {
        ...conditionsOf(options, plan, ours.at(-1)),
        ...{ tokens, peerTokens, rounds, repeatsPerRound: 2 },
      },
    });
    return [figure];
  });
}

/**
 * One process, all depths in turn, against our own smallest depth.
 * @param ramBytes the cap on memory
 */
export async function scaling(
  options: SuiteOptions,
  { suite, name, ramBytes }: { suite: string; name: string; ramBytes?: number } = {
    suite: 'decode',
    name: 'scaling',
  },
): Promise<Figure[]> {
  if (options.peerOnly) return [];
  const [rounds, tokens] = options.quick ? [2, 32] : [5, 64];
  const model = await modelPath(options.model);
  const plans = Object.values(DEPTHS).map(planFor);
  return withTemporaryFolder(async (folder) => {
    options.say(`${suite} ${name}: writing synthetic segments`);
    await writeSegments(folder, model, plans);
    options.say(`${suite} ${name}: decoding at each depth in turn`);
    const { threads } = options;
    const result = await measureOurs({ folder, plans, ramBytes, tokens, rounds, threads, model });
    const smallest = result.plans[0]?.samples ?? [];
    return Object.keys(DEPTHS).map((depth, index) =>
      compare({
        ...{ suite, case: `${name} ${depth}`, metric: 'tokensPerSecond', unit: 'tokens/s' },
        ...{ ours: result.plans[index]?.samples ?? [], peer: smallest, peerName: 'RepoWave at 4k' },
        conditions: {
          ...conditionsOf(options, plans[index]!, result, index),
          ...(ramBytes !== undefined && { ramBytes }),
          ...{ tokens, rounds },
        },
      }),
    );
  });
}

/** The same decoding with and without the record of what was read, in turn. */
async function evidenceCost(options: SuiteOptions): Promise<Figure[]> {
  if (options.peerOnly) return [];
  const [rounds, tokens] = options.quick ? [4, 64] : [10, 128];
  const model = await modelPath(options.model);
  const plan = planFor(DEPTHS['32k']);
  return withTemporaryFolder(async (folder) => {
    options.say('decode evidence: writing synthetic segments');
    await writeSegments(folder, model, [plan]);
    options.say('decode evidence: decoding with and without');
    const { threads } = options;
    const plans = [plan, plan];
    const result = await measureOurs({
      ...{ folder, plans, evidence: [true, false], tokens, rounds, threads, model },
    });
    const [withEvidence, without] = result.plans.map(({ samples }) => samples);
    const figure = compare({
      ...{ suite: 'decode', case: 'evidence', metric: 'tokensPerSecond', unit: 'tokens/s' },
      ...{ ours: withEvidence ?? [], peer: without ?? [], peerName: 'RepoWave without evidence' },
      conditions: { ...conditionsOf(options, plan, result), tokens, rounds },
    });
    return [figure];
  });
}

/** Whether llama.cpp with a filled cache is as fast as llama-bench, which prefills: its ratio must be about 1. */
async function checkPeer(options: SuiteOptions): Promise<Figure[]> {
  const { quick, threads, say } = options;
  const depth = quick ? CHECK_DEPTH.quick : CHECK_DEPTH.full;
  const shape = { depth, tokens: 16, repeats: 2, threads, model: await modelPath(options.model) };
  say('building llama-bench unless it is there');
  await buildPeer();
  const [filled, prefilled]: [number[], number[]] = [[], []];
  for (let round = 1; round <= (quick ? 1 : 2); round++) {
    say(`decode peer-check, round ${round}: a filled cache, then llama-bench`);
    filled.push(...(await measureFilled(shape)));
    prefilled.push(...(await measurePeer({ ...shape, kind: 'decode' })));
  }
  const figure = compare({
    ...{ suite: 'decode', case: 'peer-check', metric: 'filledCacheTokensPerSecond', unit: 'tokens/s' },
    ...{ ours: filled, peer: prefilled, peerName: `llama-bench 0.5.0, -fa 1, -d ${depth}` },
    conditions: { ...machine(options), depth, tokens: shape.tokens, ours: filledCache },
  });
  return [figure];
}

export async function measureOurs(measurement: DepthMeasurement): Promise<DepthResult> {
  return (await runScript('depth-ours.ts', measurement)) as DepthResult;
}

export function conditionsOf(
  options: SuiteOptions,
  plan: Plan,
  result: DepthResult | undefined,
  index = 0,
): Figure['conditions'] {
  const tokensOf = { exact: sum(plan.exact), wave: sum(plan.wave), coarse: sum(plan.coarse) };
  return {
    ...machine(options),
    segments: syntheticSegments,
    depth: tokensOf.exact + tokensOf.wave + tokensOf.coarse,
    exactTokens: tokensOf.exact,
    waveTokens: tokensOf.wave,
    coarseTokens: tokensOf.coarse,
    coarseSegments: plan.coarse.length,
    ...(result && {
      isa: result.isa,
      attentionBytesPerToken: result.plans[index]?.attentionBytesPerToken ?? 0,
    }),
  };
}
