/** `decode --case depths`: wave attention, exact attention and llama.cpp from 4,096 to 1,048,576 tokens. */
import os from 'node:os';
import { readGguf } from '../../backend/models/gguf.ts';
import { conditionsOf, DEPTHS, measureOurs } from './depth.ts';
import { filledCache, measureFilled } from './depth-peer.ts';
import { compare, median, type Figure, type Suite, type SuiteOptions } from './figure.ts';
import { extrapolatedSpeed } from './fit.ts';
import { modelPath } from './model.ts';
import { exactPlan, planFor } from './plan.ts';
import { writeSegments } from './synthetic.ts';
import { withTemporaryFolder } from './temporary.ts';

/** llama.cpp is measured up to here; beyond, seconds per token are a line through these. */
const PEER_DEPTHS = { quick: [4_096, 32_768], full: [4_096, 32_768, 131_072] };
/** Of the machine's memory, for K/V that is attended to exactly. */
const EXACT_SHARE = 1 / 8;

type Samples = Map<number, number[]>;

export const depths: Suite = {
  cases: ['depths'],
  run: async (name, options) => {
    const model = await modelPath(options.model);
    const peer = await measurePeers(model, options);
    if (options.peerOnly) return figures(options, peer, undefined);
    return withTemporaryFolder(async (folder) => {
      const all = Object.values(DEPTHS);
      const exact = all.filter((depth) => depth <= deepestExact(model, options.quick));
      const plans = [...all.map(planFor), ...exact.map(exactPlan)];
      options.say(`decode ${name}: writing synthetic segments`);
      await writeSegments(folder, model, plans);
      options.say(`decode ${name}: decoding at each depth in turn`);
      const [rounds, tokens] = options.quick ? [1, 16] : [3, 64];
      const result = await measureOurs({ folder, plans, tokens, rounds, threads: options.threads, model });
      const side = (from: number) => (depth: number, index: number) => ({
        ...{ depth, samples: result.plans[from + index]?.samples ?? [] },
        conditions: { ...conditionsOf(options, plans[from + index]!, result, from + index), tokens, rounds },
      });
      return figures(options, peer, { wave: all.map(side(0)), exact: exact.map(side(all.length)) });
    });
  },
};

interface Measured {
  depth: number;
  samples: number[];
  conditions: Figure['conditions'];
}

/** The deepest context whose K/V this machine holds without trouble. */
function deepestExact(model: string, quick: boolean): number {
  if (quick) return DEPTHS['32k'];
  const { layers, kvHeads, keyLength } = readGguf(model);
  const bytesPerToken = layers * kvHeads[0]! * keyLength * 2 * 2;
  return (os.totalmem() * EXACT_SHARE) / bytesPerToken;
}

async function measurePeers(model: string, { quick, threads, say }: SuiteOptions): Promise<Samples> {
  const samples: Samples = new Map();
  for (const depth of PEER_DEPTHS[quick ? 'quick' : 'full']) {
    say(`decode depths: llama.cpp behind ${depth} tokens`);
    const shape = { depth, tokens: quick ? 2 : 8, repeats: quick ? 1 : 2, threads, model };
    samples.set(depth, await measureFilled(shape));
  }
  return samples;
}

function figures(
  options: SuiteOptions,
  peer: Samples,
  ours: { wave: Measured[]; exact: Measured[] } | undefined,
): Figure[] {
  const medians = [...peer].map(([depth, samples]) => [depth, median(samples)] as const);
  const sides = ours ?? {
    wave: [...peer.keys()].map((depth) => ({ depth, samples: [], conditions: {} })),
    exact: [],
  };
  return (['wave', 'exact'] as const).flatMap((series) =>
    sides[series].map(({ depth, samples, conditions }) => {
      const measured = peer.get(depth);
      const speeds = measured ?? [extrapolatedSpeed(medians, depth)];
      return compare({
        ...{
          suite: 'decode',
          case: `depths ${series} ${depth}`,
          metric: 'tokensPerSecond',
          unit: 'tokens/s',
        },
        ...{ ours: samples, peer: speeds },
        peerName: measured
          ? filledCache
          : `${filledCache}; extrapolated from ${[...peer.keys()].join(', ')} tokens`,
        point: {
          ...{ axis: 'tokens of context', x: depth, series: `RepoWave, ${series} attention` },
          ...{ peerSeries: 'llama.cpp', peerExtrapolated: !measured },
        },
        conditions: {
          ...conditions,
          ...{ quick: options.quick, peerExtrapolated: !measured },
          ...(samples.length > 0 && { oursMsPerToken: 1_000 / median(samples) }),
          peerMsPerToken: 1_000 / median(speeds),
        },
      });
    }),
  );
}
