/**
 * Decodes behind stored segments in a process of its own: `node --import tsx depth-ours.ts DEPTH_MEASUREMENT` prints
 * a {@link DepthResult}.
 */
import { join } from 'node:path';
import { loadAddon, type NativeSegment, type NativeSession, type View } from '../../backend/engine/native.ts';
import { backgroundBias, usualBudget } from '../../backend/context/views.ts';
import { FRAME, LONGEST, segmentsOf, type Plan } from './plan.ts';
import { tokenSource, type TokenSource } from './tokens.ts';

export interface DepthMeasurement {
  /** Where the segments of the plans lie. */
  folder: string;
  plans: Plan[];
  /** Whether attention keeps account of what it does, by plan; always when it is not given. */
  evidence?: boolean[];
  /** The most bytes of stored K/V and index in memory; half of the machine's without it. */
  ramBytes?: number;
  /** Tokens decoded while the clock runs. */
  tokens: number;
  /** How often each plan gets its turn. */
  rounds: number;
  threads: number;
  model: string;
}

export interface DepthResult {
  isa: string;
  plans: { samples: number[]; attentionBytesPerToken: number }[];
}

/** As long as a short question. */
const QUESTION = 32;
const POSITION = FRAME + LONGEST;

async function main(measurement: DepthMeasurement): Promise<void> {
  const { folder, plans, rounds, threads } = measurement;
  const addon = loadAddon();
  const model = await addon.loadModel(measurement.model, () => undefined);
  const session = addon.createSession(model, { threads });
  session.setBudget(usualBudget);
  if (measurement.ramBytes !== undefined) addon.setCapacity(measurement.ramBytes);
  const files = new Map<string, NativeSegment>();
  const open = (name: string) => {
    const segment = files.get(name) ?? addon.openSegment(join(folder, name));
    files.set(name, segment);
    return segment;
  };
  const next = tokenSource(model.info.vocabulary);
  const results: DepthResult['plans'] = plans.map(() => ({ samples: [], attentionBytesPerToken: 0 }));
  for (let round = 0; round < rounds; round++) {
    for (const [index, plan] of plans.entries()) {
      const result = results[index]!;
      session.reset(viewsOf(plan, open));
      const evidence = measurement.evidence?.[index] ?? true;
      result.samples.push(await decode(session, next, measurement.tokens, evidence));
      if (evidence) result.attentionBytesPerToken = Math.round(session.attentionReport().bytesPerStep);
    }
  }
  session.close();
  for (const segment of files.values()) segment.close();
  model.close();
  process.stdout.write(`${JSON.stringify({ isa: addon.isa, plans: results } satisfies DepthResult)}\n`);
}

function viewsOf(plan: Plan, open: (name: string) => NativeSegment): View[] {
  return segmentsOf(plan).map(({ detail, name }, index) => ({
    segment: open(name),
    detail,
    bias: detail === 'coarse' ? backgroundBias : 0,
    position: index === 0 ? 0 : FRAME,
  }));
}

/** @returns tokens per second of an answer, its evidence being taken as in the product, or not at all */
async function decode(
  session: NativeSession,
  next: TokenSource,
  tokens: number,
  evidence: boolean,
): Promise<number> {
  await session.forward(next(QUESTION), POSITION, true);
  if (evidence) session.startEvidence();
  // As llama-bench does before it decodes.
  await session.forward(next(1), POSITION + QUESTION, true);
  const start = performance.now();
  for (let step = 1; step <= tokens; step++) await session.forward(next(1), POSITION + QUESTION + step, true);
  return (tokens * 1000) / (performance.now() - start);
}

void main(JSON.parse(process.argv[2] ?? '') as DepthMeasurement);
