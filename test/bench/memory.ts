/** What memory the product takes, and what a cap on it costs. K/V is synthetic throughout, and each figure says so. */
import { cpSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { AskResult } from '../../backend/protocol.ts';
import { scaling } from './depth.ts';
import { compare, machine, type Figure, type Suite, type SuiteOptions } from './figure.ts';
import type { Fill, Filled } from './fill-ours.ts';
import { modelPath } from './model.ts';
import { sum } from './plan.ts';
import { withProduct } from './product.ts';
import { runScript } from './script.ts';
import { withTemporaryFolder } from './temporary.ts';
import { editFile, writeTree } from './tree.ts';
import type { TiersMeasurement, TiersResult } from './tiers-ours.ts';

const MIB = 2 ** 20;
const GIB = 2 ** 30;
/** What the process may take beside weights and cap. */
const ALLOWED = 300 * MIB;

const cases: Record<string, (options: SuiteOptions) => Promise<Figure[]>> = {
  cap,
  tiers,
  curve: (options) => scaling(options, { suite: 'memory', name: 'curve', ramBytes: 2 * GIB }),
  reopen,
};

export const memory: Suite = {
  cases: Object.keys(cases),
  run: async (name, options) => (options.peerOnly ? [] : ((await cases[name]?.(options)) ?? [])),
};

const randomKv = 'synthetic: random K/V in clusters, indexed and written as the product does';

/** Resident memory under a cap far below the K/V, all of which is visible. */
async function cap(options: SuiteOptions): Promise<Figure[]> {
  const [files, capBytes, pieces] = options.quick ? [16, 96 * MIB, 16] : [100, 512 * MIB, 128];
  return withTemporaryFolder(async (folder) => {
    const [repo, store] = [join(folder, 'repository'), join(folder, 'store')];
    writeTree(repo, files);
    const filled = await fill(options, { repo, store, sample: 0 });
    options.say('memory cap: asking');
    const weights = statSync(await modelPath(options.model)).size;
    const figure = await withProduct(store, async (product) => {
      const question = 'What does the repository compute, and where?';
      const params = { root: repo, model: options.model, question, ramBytes: capBytes };
      await product.askBriefly({ ...params, gate: 'off', mode: 'wave' }, pieces);
      const peakBytes = product.peakBytes();
      const { keptBytes, hits, misses, readBytes } = await product.memory();
      return compare({
        ...{ suite: 'memory', case: 'cap', metric: 'rssOverAllowedBytes', unit: 'bytes' },
        ...{ ours: [peakBytes - weights - capBytes - ALLOWED], peer: [], peerName: null },
        conditions: {
          ...machine(options),
          ...{ kv: randomKv, gate: 'off', mode: 'wave', tokens: filled.tokens, storeBytes: sizeOf(store) },
          ...{ capBytes, peakBytes, weights, allowedBeside: ALLOWED },
          ...{ keptBytes, hits, misses, readBytes },
        },
      });
    });
    return [figure];
  });
}

/** A cap of 2 GB against all in memory, behind the same million tokens. */
async function tiers(options: SuiteOptions): Promise<Figure[]> {
  const [files, ramBytes, plenty] = options.quick ? [16, 160 * MIB, 2 * GIB] : [330, 2 * GIB, 15 * GIB];
  const [warmUp, tokens, rounds] = options.quick ? [16, 16, 1] : [64, 64, 3];
  const model = await modelPath(options.model);
  return withTemporaryFolder(async (folder) => {
    const [repo, store] = [join(folder, 'repository'), join(folder, 'store')];
    writeTree(repo, files);
    await fill(options, { repo, store, sample: 0 });
    const figures: Figure[] = [];
    for (const sight of ['gated', 'all'] as const) {
      options.say(`memory tiers: decoding, ${sight}`);
      const measurement: TiersMeasurement = {
        ...{ folder: store, sight, caps: [ramBytes, plenty], warmUp, tokens, rounds },
        ...{ threads: options.threads, model },
      };
      const { isa, depth, storeBytes, tiers } = (await runScript(
        'tiers-ours.ts',
        measurement,
      )) as TiersResult;
      const [capped, free] = tiers;
      if (!capped || !free) throw new Error('no samples');
      const { samples, ...counts } = capped;
      figures.push(
        compare({
          ...{ suite: 'memory', case: `tiers ${sight}`, metric: 'tokensPerSecond', unit: 'tokens/s' },
          ...{ ours: samples, peer: free.samples, peerName: 'RepoWave, all in RAM' },
          conditions: {
            ...machine(options),
            ...{ kv: randomKv, isa, depth, storeBytes, ramBytes, warmUp, tokens, rounds, ...counts },
            peerHitRatio: free.hitRatio,
          },
        }),
      );
    }
    return figures;
  });
}

/** A stored repository opened by a new process, and after an edit of one of its files. */
async function reopen(options: SuiteOptions): Promise<Figure[]> {
  return withTemporaryFolder(async (folder) => {
    const [repo, store] = [join(folder, 'repository'), join(folder, 'store')];
    if (options.quick) writeTree(repo, 16);
    else copyTree(options.repo, repo);
    const filled = await fill(options, { repo, store, sample: options.quick ? 2_048 : 16_384 });
    options.say('memory reopen: asking');
    const params = { root: repo, model: options.model, question: 'Where are options validated?' };
    // The files are then older than the grain of the file system's clock, which the scan does not trust.
    await withProduct(store, (product) => product.ask(params));
    const { first, again, edited, diskBytes } = await withProduct(store, async (product) => {
      const first = await product.ask(params);
      const diskBytes = product.diskBytes();
      const again = await product.ask(params);
      editFile(repo, '// An edit.');
      return { first, again, edited: await product.ask(params), diskBytes };
    });
    const storeBytes = sizeOf(store);
    const conditions = {
      ...machine(options),
      kv: 'synthetic: runs of tokens out of a sample that was really read, each at its own place',
      ...{ ...filled, storeBytes, fromTheDisk: diskBytes },
    };
    const shared = { suite: 'memory', case: 'reopen', peer: [], peerName: null, conditions };
    const own = ({ timing }: AskResult) => timing.ttftMs - timing.prefillMs;
    return [
      compare({ ...shared, metric: 'firstTokenMs', unit: 'ms', ours: [first.timing.ttftMs] }),
      compare({ ...shared, metric: 'firstTokenAgainMs', unit: 'ms', ours: [again.timing.ttftMs] }),
      compare({
        ...shared,
        metric: 'readShareOfStore',
        unit: '%',
        ours: [(100 * first.memory.readBytes) / storeBytes],
      }),
      compare({
        ...{ ...shared, metric: 'editOverReadingMs', unit: 'ms', ours: [own(edited) - again.timing.ttftMs] },
        conditions: {
          ...conditions,
          editedTokens: edited.timing.prefillTokens,
          readingMs: edited.timing.prefillMs,
          firstTokenMs: edited.timing.ttftMs,
        },
      }),
    ];
  });
}

function sizeOf(folder: string): number {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  );
  return sum(entries.map(({ parentPath, name }) => statSync(join(parentPath, name)).size));
}

function copyTree(from: string, to: string): void {
  const isLeftOut = (file: string) => /\/(?:node_modules|build|dist|\.git)$/.test(file);
  cpSync(from, to, { recursive: true, filter: (file) => file === from || !isLeftOut(file) });
}

async function fill(options: SuiteOptions, what: Pick<Fill, 'repo' | 'store' | 'sample'>): Promise<Filled> {
  options.say('memory: making up K/V');
  const { model, threads } = options;
  return (await runScript('fill-ours.ts', { ...what, model, threads } satisfies Fill)) as Filled;
}
