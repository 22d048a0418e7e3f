/** How near a decode step and reading come to what the machine can do: bytes and flops per second. */
import { statSync } from 'node:fs';
import { z } from 'zod';
import { readGguf } from '../../backend/models/gguf.ts';
import { DEPTHS, measureOurs } from './depth.ts';
import { compare, machine, median, type Figure, type Suite, type SuiteOptions } from './figure.ts';
import type { Measurement } from './measurement.ts';
import { modelPath } from './model.ts';
import { buildPeer, parametersOf } from './peer.ts';
import { exactPlan, FRAME, planFor, type Plan } from './plan.ts';
import { probeMachine, type Peak } from './probe.ts';
import { runScript } from './script.ts';
import { syntheticSegments, writeSegments } from './synthetic.ts';
import { withTemporaryFolder } from './temporary.ts';

const Prefill = z.object({ isa: z.string(), samples: z.array(z.number().positive()) });

/** What attention looks at beside the frame; its time is what a step takes more than with the frame alone. */
const plans: Record<string, Plan> = {
  'exact attention, 32768 tokens': exactPlan(DEPTHS['32k']),
  'wave attention, 131072 tokens': planFor(DEPTHS['128k']),
};

export const roofline: Suite = {
  cases: ['step'],
  run: async (name, options) => {
    if (options.peerOnly) return [];
    const model = await modelPath(options.model);
    options.say(`roofline ${name}: what the machine can do`);
    const before = await probeMachine(options.threads);
    const step = await measureSteps(model, options);
    const prefill: Measurement = {
      ...{ kind: 'prefill', depth: 0, tokens: 512, repeats: options.quick ? 1 : 3 },
      ...{ threads: options.threads, model },
    };
    options.say(`roofline ${name}: reading`);
    const { samples } = Prefill.parse(await runScript('ours.ts', prefill));
    const after = await probeMachine(options.threads);
    // The better of both: a machine that was busy during one of them is not a lower roof.
    const peak = {
      readBytes: Math.max(before.readBytes, after.readBytes),
      flops: Math.max(before.flops, after.flops),
    };
    options.say('building llama-bench unless it is there: it counts the weights');
    await buildPeer();
    const parameters = await parametersOf(model);
    return figures(options, { model, peak, step, prefill: samples, parameters });
  },
};

interface Step {
  seconds: number;
  /** Of K, V and summaries, by the engine's own count. */
  bytes: number;
}

/** Behind the frame alone, and behind each of the plans, in turn. */
async function measureSteps(
  model: string,
  { quick, threads, say }: SuiteOptions,
): Promise<[Step, ...Step[]]> {
  const all: Plan[] = [{ exact: [FRAME], wave: [], coarse: [] }, ...Object.values(plans)];
  const [rounds, tokens] = quick ? [2, 24] : [5, 64];
  return withTemporaryFolder(async (folder) => {
    say('roofline: writing synthetic segments');
    await writeSegments(folder, model, all);
    say('roofline: decoding');
    const result = await measureOurs({ folder, plans: all, tokens, rounds, threads, model });
    const [first, ...rest] = result.plans.map(({ samples, attentionBytesPerToken: bytes }): Step => ({
      seconds: 1 / median(samples),
      bytes,
    }));
    if (!first) throw new Error('no steps were measured');
    return [first, ...rest];
  });
}

interface Measured {
  model: string;
  peak: Peak;
  step: [Step, ...Step[]];
  /** Tokens per second. */
  prefill: number[];
  parameters: number;
}

function figures(
  options: SuiteOptions,
  { model, peak, step: [bare, ...steps], prefill, parameters }: Measured,
): Figure[] {
  const weights = statSync(model).size;
  const { queryHeads, kvHeads } = readGguf(model);
  const shared = { suite: 'roofline', conditions: { ...machine(options), segments: syntheticSegments } };
  const bytes = (name: string, work: Step, flops: number): Figure =>
    compare({
      ...{ ...shared, case: name, metric: 'bytesPerSecond', unit: 'GB/s' },
      ...{
        ours: [work.bytes / work.seconds / 1e9],
        peer: [peak.readBytes / 1e9],
        peerName: 'reading memory alone',
      },
      conditions: {
        ...shared.conditions,
        ...{ bytesPerStep: work.bytes, flopsPerStep: flops, msPerStep: work.seconds * 1_000 },
        ...{ flopsPerSecond: flops / work.seconds, shareOfFlops: flops / work.seconds / peak.flops },
      },
    });
  return [
    // Of the frame's K/V a step reads little, but it reads it.
    bytes('weights', { seconds: bare.seconds, bytes: weights + bare.bytes }, 2 * parameters),
    ...Object.keys(plans).map((name, index) => {
      const all = steps[index]!;
      const work = { seconds: all.seconds - bare.seconds, bytes: all.bytes - bare.bytes };
      // Each number of K and of V, two bytes, is multiplied and added once for each query head that shares it.
      return bytes(name, work, work.bytes * (queryHeads[0]! / kvHeads[0]!));
    }),
    compare({
      ...{ ...shared, case: 'reading, 512 tokens', metric: 'flopsPerSecond', unit: 'GFLOP/s' },
      ours: prefill.map((speed) => (speed * 2 * parameters) / 1e9),
      ...{ peer: [peak.flops / 1e9], peerName: '32-bit multiply-adds alone' },
      conditions: { ...shared.conditions, flopsPerToken: 2 * parameters },
    }),
  ];
}
