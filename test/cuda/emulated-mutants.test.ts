/** Faults planted in a copy of the kernels: the tests have to notice every one of them. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { cluster } from '../reference/clusters.ts';
import { assertChoice, expectedOf, randomCase, relativeError, type Case } from './calls.ts';
import { buildEmulated, compileDriver, SCHEDULES, tryRun } from './driver.ts';
import {
  expectedPrefill,
  PASSES_SOURCE,
  randomPoints,
  randomPrefill,
  tryPasses,
  type Prefill,
} from './passes.ts';
import { SANITIZERS } from './sanitizers.ts';

const native = path.resolve(import.meta.dirname, '../../native');
const SYNC = '__syncthreads();';

/** What is replaced in a file: its n-th occurrence, the first one where nothing is said. */
const MUTANTS: [what: string, file: string, from: string, to: string, n?: number][] = [
  ['scores before the queries are there', 'score.cuh', SYNC, ''],
  ['merges scores of warps that are not done', 'score.cuh', SYNC, '', 2],
  ['scores one cluster too many', 'score.cuh', '8 * j + at.r < count', '8 * j + at.r <= count'],
  ['leaves the bias out', 'score.cuh', 'tile.bias + tile.log_sizes[c]', 'tile.log_sizes[c]'],
  ['leaves the size out', 'score.cuh', 'tile.bias + tile.log_sizes[c]', 'tile.bias'],
  ['ranks before the masses are there', 'score.cuh', SYNC, '', 3],
  ['ranks by the first query head alone', 'score.cuh', 'ranked && row < a.group', 'ranked && row < 1'],
  ['ranks without dividing by the mass', 'score.cuh', '/\n                masses[row].l', ''],
  ['counts into bins that are not empty yet', 'select.cuh', SYNC, ''],
  ['reads bins that are not full yet', 'select.cuh', SYNC, '', 2],
  ['adds sums of warps that are not done', 'select.cuh', SYNC, '', 3],
  ['uses sums that are not there yet', 'select.cuh', SYNC, '', 4],
  ['uses a result that is not there yet', 'select.cuh', SYNC, '', 5],
  ['takes the last of equal ranks too', 'select.cuh', 'up_to - own < need', 'up_to - own <= need'],
  ['forgets what is above the bin', 'select.cuh', 'need - before - upper', 'need - before'],
  [
    'counts in place of adding at once',
    'select.cuh',
    'atomicAdd(&bins[one.key >> shift & ((1u << width) - 1)], one.tokens)',
    'bins[one.key >> shift & ((1u << width) - 1)] += one.tokens',
  ],
  ['overwrites sums of pages that others still read', 'pages.cuh', SYNC, '', 2],
  ['reads sums of pages that are not there yet', 'pages.cuh', SYNC, ''],
  ['writes more pages than there is room for', 'pages.cuh', 'needed == 0 || at + needed <= room', 'true'],
  [
    'takes pages that lie apart for neighbours',
    'pages.cuh',
    'scattered ? static_cast',
    'false ? static_cast',
  ],
  ['moves all but the last of a cluster', 'tiers.cuh', 'i < parts;', 'i + 1 < parts;'],
  ['places one cluster too many', 'tiers.cuh', 'if (i >= count) return;', 'if (i > count) return;'],
  ['forgets how clusters lie', 'tiers.cuh', 'placing.place->scattered = placing.scattered;', ''],
  [
    'does not wait for copies',
    'library.cu',
    'error = cudaStreamWaitEvent(static_cast<cudaStream_t>(stream), done, 0);',
    'error = cudaSuccess;',
  ],
  ['loses clusters that are late', 'pages.cuh', '~(1u << cluster % kTileClusters)', '~0u'],
  [
    'reads one token too many',
    'attend.cuh',
    'at.r < static_cast<int>(pair[i].tokens)',
    'at.r <= static_cast<int>(pair[i].tokens)',
  ],
  ['estimates what is retrieved', 'attend.cuh', ' && !(retrieved >> c & 1)', ''],
  ['attends before the queries are there', 'attend.cuh', SYNC, ''],
  ['merges warps that are not done', 'attend.cuh', SYNC, '', 2],
  ['forgets the sinks', 'attend.cuh', 'a.sinks[head] * kLog2E - m + kWeightShift', '-INFINITY'],
  ['weighs sinks in other units', 'attend.cuh', ' - m + kWeightShift) : 0.0f', ' - m) : 0.0f'],
  ['keeps sums of an older maximum', 'fragments.cuh', 'o[t][0] *= shrink, o[t][1] *= shrink;', ''],
  [
    "takes half of the queries' bits",
    'fragments.cuh',
    '{high.x, low.x, high.y, low.y}',
    '{high.x, 0, high.y, 0}',
  ],
  [
    "takes half of the weights' bits",
    'fragments.cuh',
    '{near.high, near.low, far.high, far.low}',
    '{near.high, 0, far.high, 0}',
  ],
  ['attends before keys and values are there', 'prefill.cuh', SYNC, ''],
  ['overwrites keys that others still read', 'prefill.cuh', SYNC, '', 2],
  ['reads queries of other lanes too early', 'prefill.cuh', '__syncwarp();', ''],
  ['lets a token see the next one', 'prefill.cuh', 'span.tokens), token + 1 -', 'span.tokens), token + 2 -'],
  ['has a window of one token more', 'prefill.cuh', 'token + 1 - window', 'token - window'],
  ['reads a key beyond the end', 'prefill.cuh', 'key < at.end)', 'key <= at.end)'],
  ['takes the tail to be seen whole', 'prefill.cuh', 'span.causal ?', 'false ?'],
  ['leaves the bias of a run out', 'prefill.cuh', ' + at.span.bias * kLog2E', ''],
  [
    'forgets the last keys of a block',
    'prefill.cuh',
    'Seen(span, last_token, window).end',
    'Seen(span, first_token, window).end',
  ],
  ['forgets the sinks of a pass', 'prefill.cuh', 'exp2_of(sink - m + kWeightShift)', '0.0f'],
  ['forgets what was attended to elsewhere', 'prefill.cuh', 'x += weight *', 'x += 0 * weight *'],
  ['adds the parts of the mean too early', 'kmeans.cuh', SYNC, ''],
  ['divides the mean by too much', 'kmeans.cuh', 'sum / a.count', 'sum / (a.count + 1)'],
  ['takes the last of equal centroids', 'kmeans.cuh', 'b.centroid < a.centroid', 'b.centroid > a.centroid'],
  [
    'loses the first member',
    'kmeans.cuh',
    'add(first + __ffs(',
    'if (members & (members - 1)) add(first + __ffs(',
  ],
  ['seeds with other tokens', 'kmeans.cuh', 'own) + 1) * a.count', 'own)) * a.count'],
  ["takes half of the centroids' bits", 'kmeans.cuh', 'small.parts[i], i)', '{0, 0, 0, 0}, i)'],
  ['compares points that are not there yet', 'kmeans.cuh', '__syncwarp();', ''],
  ['mixes elements of values up', 'fragments.cuh', '2 * (word % 4) + t % 2', '2 * (word % 4) + 1 - t % 2'],
];

const cases = [
  randomCase(1, {
    headSize: 64,
    group: 4,
    waves: [300, 150],
    budget: 90,
    late: false,
    biases: false,
    estimate: true,
  }),
  randomCase(2, {
    headSize: 64,
    group: 9,
    waves: [200],
    budget: 200,
    late: true,
    biases: true,
    sinks: true,
    estimate: true,
  }),
  randomCase(3, {
    headSize: 64,
    group: 2,
    ties: true,
    waves: [160, 30],
    budget: 77,
    late: false,
    biases: false,
  }),
  randomCase(4, { headSize: 64, group: 1, waves: [3500], budget: 3000, late: false, format: 'f16' }),
];
for (const { step } of cases) step.moves = true;
/** The sanitizers are slow. */
const few = cases.slice(0, 3);
/** One that sees a run that is turned down, and not hidden. */
function biased(): Prefill {
  for (let seed = 12; ; seed++) {
    const one = randomPrefill(seed, { headSize: 64, group: 2, tokens: 30, biases: true, window: false });
    if (one.call.exact.some(({ bias }) => bias < 0 && bias > -Infinity)) return one;
  }
}
const prefills = [
  randomPrefill(10, {
    headSize: 64,
    group: 4,
    tokens: 40,
    format: 'f16',
    biases: false,
    sinks: true,
    more: true,
  }),
  randomPrefill(11, { headSize: 64, group: 3, tokens: 21, format: 'bf16', window: true, before: 120 }),
  biased(),
];
/** The last one has products that only differ where half of the centroids' bits end. */
const points = [7, 20, 120, 333, 1200].map((tokens) => randomPoints(tokens, 64, 'f16', 1, tokens));
/** With the first and the last of three centroids equal. */
const copies = randomPoints(21, 64, 'f16', 1, 48);
points.push({ ...copies, keys: copies.keys.map((_, i) => copies.keys[i % (32 * 64)]!) });
/** Budgets that end within and between clusters, for one schedule. */
const budgets: Case[] = [];
for (let budget = 11; budget < 300; budget += 17) {
  const likeness = { headSize: 64, group: 2, late: false, biases: false };
  budgets.push(randomCase(5, { ...likeness, waves: [120], budget, ties: true }));
  budgets.push(randomCase(6, { ...likeness, waves: [300], budget }));
}

let folder = '';
before(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'repowave-mutants-'));
});
after(() => fs.rmSync(folder, { recursive: true }));

/** A copy of the kernels, for one head size. */
function copyKernels(name: string): string {
  const sources = path.join(folder, name);
  fs.cpSync(path.join(native, 'kernels/cuda'), path.join(sources, 'kernels/cuda'), { recursive: true });
  const library = path.join(sources, 'kernels/cuda/library.cu');
  const text = fs.readFileSync(library, 'utf8');
  fs.writeFileSync(library, text.replaceAll(/ *case (80|96|128|256):\n.*\n/g, ''));
  return sources;
}

function plant(sources: string, file: string, from: string, to: string, n: number): void {
  const target = path.join(sources, 'kernels/cuda', file);
  const parts = fs.readFileSync(target, 'utf8').split(from);
  assert.ok(parts.length > n, `${file} has no such text any more: ${from}`);
  fs.writeFileSync(target, parts.slice(0, n).join(from) + to + parts.slice(n).join(from));
}

/** Whether all is right; false when a result is wrong or the emulator or a sanitizer stops the program. */
function passes(program: string, which: Case[], seed: number): boolean {
  const ended = tryRun(
    program,
    which.map(({ step }) => step),
    seed,
  );
  if (ended.status !== 0) return false;
  return which.every((one, i) => {
    const outcome = ended.outcomes[i]!;
    try {
      assertChoice(one, outcome, one.format === 'f16' ? 3e-5 : 1e-3);
    } catch {
      return false;
    }
    return relativeError(outcome.out, expectedOf(one, outcome.bits)) < (one.format === 'f16' ? 3e-6 : 3e-5);
  });
}

/** The cluster of each token, in float64. */
function clustersOf(keys: Float64Array, tokens: number): Uint32Array {
  const { order, starts } = cluster(keys, tokens, 64);
  const own = new Uint32Array(tokens);
  for (let c = 0; c + 1 < starts.length; c++)
    for (let s = starts[c]!; s < starts[c + 1]!; s++) own[order[s]!] = c;
  return own;
}

/** The same of passes of several tokens and of k-means. */
function passesPass(program: string, seed: number): boolean {
  const { status, results } = tryPasses(program, [...prefills, ...points], seed);
  if (status !== 0) return false;
  return results.every((result, i) => {
    const one = prefills[i];
    if (one) return relativeError(result, expectedPrefill(one)) < (one.format === 'f16' ? 3e-6 : 3e-5);
    const { keys, tokens } = points[i - prefills.length]!;
    // Centroids that nobody is nearest to make no cluster.
    const used = [...new Set(result)].sort((a, b) => a - b);
    return clustersOf(keys, tokens).every((c, token) => used[c] === result[token]);
  });
}

/** @param checks what the program is built with beside the usual; the driver is compiled once for all of the same name */
function build(sources: string, name: string, kind: string, checks: string[], main?: string): string {
  const flags = [
    ...['-O1', '-Wno-unused-variable', '-Wno-unused-but-set-variable', '-Wno-unused-parameter'],
    ...checks,
  ];
  const which = main ? `${kind}-passes` : kind;
  drivers[which] ??= compileDriver(`driver-${which}.o`, flags, main);
  return buildEmulated(`mutant-${name}-${which}`, { flags, sources, driver: drivers[which] });
}
const drivers: Record<string, string> = {};
/** What steps of one token do not use. */
const ONLY_PASSES = ['prefill.cuh', 'kmeans.cuh'];

/** @returns the first way in which it is noticed */
function caughtBy(sources: string, name: string, file: string): string | undefined {
  return ONLY_PASSES.includes(file) ? caughtByPasses(sources, name) : caughtBySteps(sources, name);
}

function caughtByPasses(sources: string, name: string): string | undefined {
  const plain = build(sources, name, 'plain', [], PASSES_SOURCE);
  const seed = SCHEDULES.find((one) => !passesPass(plain, one));
  if (seed !== undefined) return `results, schedule ${seed}`;
  for (const [sanitizer, extra] of Object.entries(SANITIZERS)) {
    if (!passesPass(build(sources, name, sanitizer, extra, PASSES_SOURCE), 3)) return sanitizer;
  }
  return undefined;
}

function caughtBySteps(sources: string, name: string): string | undefined {
  const plain = build(sources, name, 'plain', []);
  const seed = SCHEDULES.find((one) => !passes(plain, one < 0 ? [...cases, ...budgets] : cases, one));
  if (seed !== undefined) return `results, schedule ${seed}`;
  for (const [sanitizer, extra] of Object.entries(SANITIZERS)) {
    const program = build(sources, name, sanitizer, extra);
    if (!passes(program, few, 3)) return sanitizer;
  }
  return undefined;
}

test('emulated: the kernels without a fault pass', () => {
  const sources = copyKernels('none');
  assert.equal(caughtBySteps(sources, 'none'), undefined);
  assert.equal(caughtByPasses(sources, 'none'), undefined);
});

for (const [number, [what, file, from, to, n = 1]] of MUTANTS.entries()) {
  test(`emulated: kernels are caught when one ${what}`, (t) => {
    const sources = copyKernels(String(number));
    plant(sources, file, from, to, n);
    const how = caughtBy(sources, String(number), file);
    assert.ok(how, 'nothing noticed it');
    t.diagnostic(how);
  });
}
