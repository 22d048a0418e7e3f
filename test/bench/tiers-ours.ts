/**
 * Decodes behind the stored segments of a whole repository, with a cap on memory and without, in a process of its own:
 * `node --import tsx tiers-ours.ts TIERS_MEASUREMENT` prints a {@link TiersResult}.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { backgroundBias, usualBudget } from '../../backend/context/views.ts';
import { loadAddon, type View } from '../../backend/engine/native.ts';
import { at } from '../../scripts/paths.mjs';
import { sum } from './plan.ts';

export interface TiersMeasurement {
  /** Where segments lie, in subfolders; their K/V need not belong together. */
  folder: string;
  /** `gated`: the largest four as the gate would choose, the others in outline. `all`: all at full weight. */
  sight: 'gated' | 'all';
  /** Caps on memory in turn; the last one has room for everything. */
  caps: number[];
  /** Tokens before the clock starts, and while it runs. */
  warmUp: number;
  tokens: number;
  rounds: number;
  threads: number;
  model: string;
}

export interface Tier {
  samples: number[];
  /** Of the clusters needed, while the clock ran, and bytes read from the store. */
  hitRatio: number;
  readBytesPerToken: number;
  attentionBytesPerToken: number;
  keptBytes: number;
}
export interface TiersResult {
  isa: string;
  depth: number;
  storeBytes: number;
  tiers: Tier[];
}

const CHOSEN = 4;
const QUESTION = 32;

async function main(measurement: TiersMeasurement): Promise<void> {
  const { folder, sight, caps, rounds, threads } = measurement;
  const addon = loadAddon();
  const model = await addon.loadModel(measurement.model, () => undefined);
  const session = addon.createSession(model, { threads });
  session.setBudget(usualBudget);
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.seg'),
  );
  const segments = files.map((name) => addon.openSegment(join(folder, name)));
  segments.sort((a, b) => b.tokens - a.tokens);
  const views = segments.map((segment, index): View => {
    const isOutline = sight === 'gated' && index >= CHOSEN;
    return {
      segment,
      detail: isOutline ? 'coarse' : 'wave',
      bias: isOutline ? backgroundBias : 0,
      position: 0,
    };
  });
  const longest = segments[0]?.tokens ?? 0;
  // An answer is sentences too; random words would look at other places with each.
  const { tokens: text } = await model.tokenize(readFileSync(at('docs', 'method.md'), 'utf8'), false);
  const tiers = caps.map((): Tier => ({
    samples: [],
    hitRatio: 1,
    readBytesPerToken: 0,
    attentionBytesPerToken: 0,
    keptBytes: 0,
  }));
  // What fits only wholly has seen the same tokens before: nothing of it is on the disk alone.
  await decode(caps.at(-1) ?? 0);
  for (let round = 0; round < rounds; round++)
    for (const index of [...caps.keys()].reverse()) {
      const tier = tiers[index]!;
      const { speed, ...rest } = await decode(caps[index]!);
      tier.samples.push(speed);
      Object.assign(tier, rest);
    }
  process.stdout.write(
    `${JSON.stringify({
      isa: addon.isa,
      depth: sum(segments.map(({ tokens }) => tokens)),
      storeBytes: sum(files.map((name) => statSync(join(folder, name)).size)),
      tiers,
    } satisfies TiersResult)}\n`,
  );

  async function decode(cap: number) {
    addon.setCapacity(cap);
    session.reset(views);
    await session.forward(text.subarray(0, QUESTION), longest, true);
    await run(QUESTION, measurement.warmUp);
    session.startEvidence();
    const before = addon.memory();
    const started = performance.now();
    await run(QUESTION + measurement.warmUp, measurement.tokens);
    const seconds = (performance.now() - started) / 1000;
    const now = addon.memory();
    const [hits, misses] = [now.hits - before.hits, now.misses - before.misses];
    return {
      speed: measurement.tokens / seconds,
      hitRatio: hits + misses > 0 ? hits / (hits + misses) : 1,
      readBytesPerToken: Math.round((now.bytesRead - before.bytesRead) / measurement.tokens),
      attentionBytesPerToken: Math.round(session.attentionReport().bytesPerStep),
      keptBytes: now.exact + now.index + now.background + now.cacheUsed,
    };
  }

  async function run(first: number, count: number) {
    for (let i = first; i < first + count; i++)
      await session.forward(text.subarray(i, i + 1), longest + i, true);
  }
}

void main(JSON.parse(process.argv[2] ?? '') as TiersMeasurement);
