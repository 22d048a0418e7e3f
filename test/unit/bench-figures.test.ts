import assert from 'node:assert/strict';
import { chmodSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { compare, inTurn, table, type Figure } from '../bench/figure.ts';
import { extrapolatedSpeed, fitLine } from '../bench/fit.ts';
import { measurePeer } from '../bench/peer.ts';
import { exactPlan, planFor, sum } from '../bench/plan.ts';
import { charts, writeCharts } from '../bench/plot.ts';
import { tree } from './repo-helpers.ts';

const shape = { kind: 'decode', depth: 64, tokens: 8, repeats: 3, threads: 2, model: 'm.gguf' } as const;
const named = { suite: 'decode', case: 'depth64', metric: 'speed', unit: 'tokens/s', conditions: {} };

/** A program in llama-bench's place. */
function fakePeer(t: TestContext, script: string): string {
  const file = path.join(tree(t, { 'llama-bench': `#!/bin/sh\n${script}\n` }), 'llama-bench');
  chmodSync(file, 0o755);
  return file;
}

test('a peer of known speed gives the ratio that follows from it, with the spread of both sides', async (t) => {
  const peer = fakePeer(t, `echo 'loading: [x]' >&2\nprintf '[\\n  {"samples_ts": [40, 50, 60]}\\n]\\n'`);
  const samples = await inTurn(2, {
    ours: () => Promise.resolve([90, 100, 130]),
    peer: () => measurePeer(shape, peer),
  });
  const figure = compare({ ...named, ...samples, peerName: 'fake' });

  assert.deepEqual(samples.peer, [40, 50, 60, 40, 50, 60]);
  assert.deepEqual([figure.ours, figure.peer, figure.ratio], [100, 50, 2]);
  assert.match(
    table([figure]),
    /\n2\.00x +decode depth64 .* 90\.0 \/ 100 \/ 130 +40\.0 \/ 50\.0 \/ 60\.0 +fake$/,
  );
});

test('what the peer is asked is what ours was asked', async (t) => {
  const peer = fakePeer(t, `echo "$@" > "$(dirname "$0")/asked"\nprintf '[\\n{"samples_ts": [1]}\\n]\\n'`);
  await measurePeer(shape, peer);
  const asked = readFileSync(path.join(path.dirname(peer), 'asked'), 'utf8');
  assert.equal(asked.trim(), '-m m.gguf -fa 1 -t 2 -d 64 -r 3 -o json -p 0 -n 8');
});

test('a peer that fails, or that tells no speed, gives no figure', async (t) => {
  await assert.rejects(measurePeer(shape, fakePeer(t, 'echo broken; exit 3')), /failed with 3:\nbroken/);
  await assert.rejects(measurePeer(shape, fakePeer(t, `printf '[\\n{"samples_ts": [0]}\\n]\\n'`)));
  await assert.rejects(measurePeer(shape, path.join(tree(t), 'missing')), /failed with 127/);
});

test('a peer that was not run is named as not run, and nothing stands in its place', () => {
  const figure = compare({
    ...named,
    ours: [5],
    peer: [],
    peerName: 'repomix 1',
    notRun: 'it is not installed',
  });
  assert.deepEqual([figure.peer, figure.ratio], [null, null]);
  assert.match(table([figure]), /\n- .* 5\.00 +- +repomix 1: not run, it is not installed$/);
  assert.equal(compare({ ...named, ours: [5], peer: [], peerName: 'x' }).peerName, null);
});

test('both sides take turns', async () => {
  const order: string[] = [];
  const side = (name: string) => (round: number) => Promise.resolve((order.push(`${name}${round}`), [round]));
  await inTurn(2, { ours: side('a'), peer: side('b') });
  assert.deepEqual(order, ['a1', 'b1', 'a2', 'b2']);
  assert.deepEqual(await inTurn(1, { peer: side('b') }), { ours: [], peer: [1] });
});

test('a speed is carried on along the line of its time per token', () => {
  // 10 ms and 1 ms per thousand tokens.
  const speed = (depth: number) => 1_000 / (10 + depth / 1_000);
  const measured = [4_000, 32_000, 128_000].map((depth) => [depth, speed(depth)] as const);
  assert.ok(Math.abs(extrapolatedSpeed(measured, 1_000_000) - 1_000 / 1_010) < 1e-9);
  assert.throws(() => fitLine([[1, 2]]), RangeError);
});

test('an exact plan holds the same tokens as that of wave attention, all of them exactly', () => {
  for (const depth of [4_096, 32_768, 131_072]) {
    const all = planFor(depth);
    const { exact, wave, coarse } = exactPlan(depth);
    assert.equal(sum(exact), sum([...all.exact, ...all.wave, ...all.coarse]));
    assert.deepEqual([wave, coarse], [[], []]);
  }
});

const point = (x: number, ours: number | null, peer: number, peerExtrapolated: boolean): Figure => ({
  ...named,
  ...{ case: `depths wave ${x}`, ours, peer, peerName: 'llama.cpp', ratio: null },
  point: { axis: 'tokens of context', x, series: 'ours', peerSeries: 'llama.cpp', peerExtrapolated },
});

test('a chart has a line for each side, and what was not measured is dashed and said to be extrapolated', () => {
  const [chart] = charts([
    point(4_096, 30, 20, false),
    point(32_768, 30, 7, false),
    point(524_288, null, 1, true),
  ]);
  assert.equal(chart?.name, 'decode-depths');
  for (const text of ['ours', 'llama.cpp', 'llama.cpp, extrapolated', 'tokens of context', 'tokens/s'])
    assert.ok(chart.svg.includes(`>${text}<`), text);
  assert.match(chart.svg, /stroke-dasharray/);
  const [measured] = charts([point(4_096, 30, 20, false), point(32_768, 30, 7, false)]);
  assert.doesNotMatch(measured!.svg, /extrapolated|stroke-dasharray/);
});

test('bars are drawn per unit, and a figure that nobody has measured is not drawn', (t) => {
  const bar = (unit: string, ours: number | null, peer: number | null) =>
    compare({
      ...named,
      unit,
      ours: ours === null ? [] : [ours],
      peer: peer === null ? [] : [peer],
      peerName: 'git',
    });
  const folder = tree(t);
  writeCharts(folder, [bar('files/s', 10, 20), bar('%', 3, null), bar('ms', null, null)]);
  assert.deepEqual(readdirSync(folder).sort(), ['decode-files-s.svg', 'decode-percent.svg']);
});
