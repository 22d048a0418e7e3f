import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { figuresOf, withFigures, type Bench, type Compare } from './figures.ts';

const bench: Bench = {
  ...{ device: 'a device', clusters: 65536, hitPercent: 93, copyGBs: 3000 },
  ...{ us: { score: 50.5, attend: 70 }, scoreShare: 0.834, attendShare: 0.5, missShare: 0.07 },
};
const compare: Compare = {
  ...{ what: 'compare', device: 'a device', torch: '2', tokens: 1048576, batch: 8, budget: 20971 },
  msPerLayer: {
    RepoWave: [0.4, 0.5, 0.9],
    slow: [6, 7, 8],
    fast: [4, 5, 6],
    'flash-attn': 'not installed',
  },
  ...{ timesFaster: 10, relativeL2: 0.01 },
};
const lines = (...figures: object[]) => figures.map((figure) => `${JSON.stringify(figure)}\n`).join('');

describe('figures of a GPU as docs/cuda.md prints them', () => {
  test('own time stands beside the fastest of the others, with spread and ratio', () => {
    const text = figuresOf(lines(compare, bench), '2026-01-02');
    assert.match(text, /^Measured on 2026-01-02, a device; copying within the device reaches 3000 GB\/s/);
    assert.match(
      text,
      /\| 1048576 \| 8 \| 0\.5 \(0\.4 … 0\.9\) \| fast: 5 \(4 … 6\) \| 10 \| 20971 \| 0\.01 \|/,
    );
    assert.match(text, /\| 65536 \| 93 % \| 50\.5 \| 70 \| 83 % \| 50 % \| 7 % \|/);
  });

  test('what was not run is said, and has no figure', () => {
    const none = { ...compare, msPerLayer: undefined, notRun: 'out of memory' };
    assert.match(figuresOf(lines(none), '2026-01-02'), /\| 1048576 \| 8 \| not run: out of memory \| +\|/);
    const alone = {
      ...compare,
      msPerLayer: { RepoWave: [1, 1, 1], peer: 'not installed' },
      timesFaster: null,
    };
    assert.match(figuresOf(lines(alone), '2026-01-02'), /\| not run \| – \|/);
  });

  test('the document has the marks, and only what stands between them changes', () => {
    const document = fs.readFileSync(path.resolve(import.meta.dirname, '../../docs/cuda.md'), 'utf8');
    const [first, second] = [
      withFigures(document, 'one'),
      withFigures(withFigures(document, 'other'), 'one'),
    ];
    assert.equal(first, second);
    assert.equal(first.split('<!--')[0], document.split('<!--')[0]);
    assert.throws(() => withFigures('no marks', ''), /lacks/);
  });
});
