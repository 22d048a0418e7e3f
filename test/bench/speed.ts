/** Tokens per second of the bare engine against llama-bench: the same weights, libraries and threads, turn by turn. */
import { z } from 'zod';
import { compare, inTurn, machine, type Figure, type Suite, type SuiteOptions } from './figure.ts';
import type { Measurement } from './measurement.ts';
import { modelPath } from './model.ts';
import { buildPeer, measurePeer } from './peer.ts';
import { runScript } from './script.ts';

type Shape = Pick<Measurement, 'kind' | 'depth' | 'tokens' | 'repeats'>;
interface Case {
  full: Shape & { rounds: number };
  quick: Shape & { rounds: number };
}

const OursResult = z.object({ isa: z.string(), samples: z.array(z.number().positive()) });

export const decode = suite('decode', {
  depth0: {
    full: { kind: 'decode', depth: 0, tokens: 64, repeats: 3, rounds: 3 },
    quick: { kind: 'decode', depth: 0, tokens: 32, repeats: 2, rounds: 2 },
  },
  depth8k: {
    full: { kind: 'decode', depth: 8192, tokens: 32, repeats: 3, rounds: 2 },
    quick: { kind: 'decode', depth: 2048, tokens: 16, repeats: 2, rounds: 1 },
  },
});

export const prefill = suite('prefill', {
  pp8192: {
    full: { kind: 'prefill', depth: 0, tokens: 8192, repeats: 1, rounds: 2 },
    quick: { kind: 'prefill', depth: 0, tokens: 1024, repeats: 1, rounds: 2 },
  },
});

function suite(name: string, cases: Record<string, Case>): Suite {
  return {
    cases: Object.keys(cases),
    run: async (caseName, options) => {
      const found = cases[caseName];
      if (!found) throw new Error(`no case ${caseName}`);
      return [await measure(name, caseName, options.quick ? found.quick : found.full, options)];
    },
  };
}

async function measure(
  suite: string,
  name: string,
  { rounds, ...shape }: Shape & { rounds: number },
  options: SuiteOptions,
): Promise<Figure> {
  const model = await modelPath(options.model);
  const measurement = { ...shape, threads: options.threads, model };
  options.say('building llama-bench unless it is there');
  await buildPeer();
  let isa = '-';
  const turn = (round: number, side: string) =>
    options.say(`${suite} ${name}, round ${round} of ${rounds}: ${side}`);
  const measureOurs = async (round: number) => {
    turn(round, 'RepoWave');
    const result = OursResult.parse(await runScript('ours.ts', measurement));
    isa = result.isa;
    return result.samples;
  };
  const { ours, peer } = await inTurn(rounds, {
    ...(!options.peerOnly && { ours: measureOurs }),
    peer: (round) => {
      turn(round, 'llama-bench');
      return measurePeer(measurement);
    },
  });
  return compare({
    ...{
      suite,
      case: name,
      metric: 'tokensPerSecond',
      unit: 'tokens/s',
      peerName: 'llama-bench 0.5.0, -fa 1',
      ours,
      peer,
    },
    conditions: {
      ...machine(options),
      isa,
      ...{
        depth: shape.depth,
        tokens: shape.tokens,
        rounds,
        repeatsPerRound: shape.repeats,
      },
    },
  });
}
