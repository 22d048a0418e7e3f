/** How long people wait: for the first word of a new process and of a warm one, after an edit, and for a cancel. */
import { appendFileSync, cpSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { AskParams, Progress } from '../../backend/protocol.ts';
import { at } from '../../scripts/paths.mjs';
import { compare, machine, type Figure, type Suite, type SuiteOptions } from './figure.ts';
import { modelPath } from './model.ts';
import { buildPeer, measurePeer } from './peer.ts';
import { Product, withProduct } from './product.ts';
import { withTemporaryFolder } from './temporary.ts';

const question = 'Where are options validated?';
/** Read for `--quick`: some 2,000 tokens. */
const quickTree = at('test', 'fixtures', 'workspace');
const left = /\/(?:node_modules|build|dist|artifacts|\.git)$/;

const isText = ({ kind }: Progress) => kind === 'text';
const isReading = (progress: Progress) => progress.kind === 'phase' && progress.phase === 'prefill';

type Samples = Record<
  'coldStart' | 'coldFirstToken' | 'warmFirstToken' | 'edit' | 'editRead' | 'cancelAnswer' | 'cancelRead',
  number[]
>;

export const latency: Suite = {
  cases: ['repository'],
  run: async (name, options) => {
    if (options.peerOnly) return [];
    const { model, quick, say } = options;
    await modelPath(model);
    return withTemporaryFolder(async (folder) => {
      const [root, store] = [join(folder, 'repository'), join(folder, 'store')];
      cpSync(quick ? quickTree : options.repo, root, { recursive: true, filter: (file) => !left.test(file) });
      const params = { root, model, question };
      say(`latency ${name}: reading the repository`);
      const read = await withProduct(store, (product) => product.ask(params));
      const samples = await measure(params, store, options);
      return figures(options, {
        name,
        samples,
        tokens: read.context.tokens,
        peer: await peerSamples(options, read.context.tokens),
      });
    });
  },
};

async function measure(params: AskParams, store: string, { quick, say }: SuiteOptions): Promise<Samples> {
  const samples: Samples = {
    ...{ coldStart: [], coldFirstToken: [], warmFirstToken: [], edit: [], editRead: [] },
    ...{ cancelAnswer: [], cancelRead: [] },
  };
  for (let round = 1; round <= (quick ? 2 : 5); round++) {
    say(`latency: round ${round}`);
    const startedAt = performance.now();
    const product = await Product.start(store);
    try {
      samples.coldStart.push(performance.now() - startedAt);
      const cold = await product.askUntil(params, isText);
      samples.coldFirstToken.push(samples.coldStart.at(-1)! + cold.reachedMs);
      const warm = await product.askUntil(params, isText);
      samples.warmFirstToken.push(warm.reachedMs);
      samples.cancelAnswer.push(cold.cancelMs, warm.cancelMs);
      edit(params.root, round);
      const { timing } = await product.ask(params);
      samples.edit.push(timing.ttftMs);
      samples.editRead.push(timing.prefillMs);
      edit(params.root, -round);
      samples.cancelRead.push((await product.askUntil(params, isReading)).cancelMs);
      // What the cancel left unread is read before the next round.
      await product.askUntil(params, isText);
    } finally {
      await product.stop();
    }
  }
  return samples;
}

/** A line more at the end of the middle one of the source files. */
function edit(root: string, value: number): void {
  const files = readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((file) => /\.(?:[jt]sx?|py|go|rs|c|cpp|java)$/.test(file) && statSync(join(root, file)).isFile())
    .sort();
  const file = files[Math.floor(files.length / 2)];
  if (file === undefined) throw new Error(`${root} has no source file to edit`);
  appendFileSync(join(root, file), `\nconst edit${Math.abs(value)} = ${value};\n`);
}

/** Milliseconds that llama.cpp needs to read the same tokens anew, or as many as fit its window. */
async function peerSamples({ quick, threads, model, say }: SuiteOptions, tokens: number): Promise<number[]> {
  say('latency: llama-bench reading as many tokens');
  await buildPeer();
  const shape = {
    kind: 'prefill',
    depth: 0,
    tokens: Math.min(tokens, PEER_MOST),
    repeats: quick ? 1 : 2,
    threads,
  } as const;
  const speeds = await measurePeer({ ...shape, model: await modelPath(model) });
  return speeds.map((speed) => (shape.tokens * 1_000) / speed);
}
const PEER_MOST = 16_384;

interface Measured {
  name: string;
  samples: Samples;
  tokens: number;
  peer: number[];
}

function figures(options: SuiteOptions, { name, samples, tokens, peer }: Measured): Figure[] {
  const figure = (metric: string, ours: number[], beside?: { peer: number[]; peerName: string }): Figure =>
    compare({
      ...{ suite: 'latency', case: name, metric, unit: 'ms', ours },
      ...(beside ?? { peer: [], peerName: null }),
      conditions: { ...machine(options), repositoryTokens: tokens },
    });
  const peerName = `llama-bench 0.5.0, reading ${Math.min(tokens, PEER_MOST)} tokens anew`;
  return [
    figure('coldStart', samples.coldStart),
    figure('coldFirstToken', samples.coldFirstToken, { peer, peerName }),
    figure('warmFirstToken', samples.warmFirstToken, { peer, peerName }),
    figure('firstTokenAfterEdit', samples.edit, { peer, peerName }),
    figure('readingOfEdit', samples.editRead),
    figure('cancelOfAnswer', samples.cancelAnswer),
    figure('cancelOfReading', samples.cancelRead),
  ];
}
