import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  estimate,
  formatAmount,
  formatDuration,
  formatProgress,
  ProgressLine,
} from '../../backend/terminal/progress.mjs';

test('durations are written as a clock', () => {
  assert.deepEqual([0, 7.4, 59.6, 750, 3723].map(formatDuration), [
    '0:00',
    '0:07',
    '1:00',
    '12:30',
    '1:02:03',
  ]);
});

test('amounts have a unit and at most three digits where they are bytes', () => {
  const bytes = [0, 999, 1000, 9_949, 35_735_663, 1_117_320_768].map((n) => formatAmount(n, 'bytes'));
  assert.deepEqual(bytes, ['0 B', '999 B', '1.0 kB', '9.9 kB', '36 MB', '1.1 GB']);
  assert.equal(formatAmount(1_234_567, 'tokens'), '1,234,567 tokens');
  assert.equal(formatAmount(2.25, ''), '2.3');
});

test('a line has label, share, bar, amounts, rate and remaining time', () => {
  const line = formatProgress({
    label: 'Loading',
    done: 12,
    total: 29,
    unit: 'files',
    rate: 3.5,
    etaSeconds: 12,
  });
  assert.equal(line, 'Loading  41% ████░░░░░░ 12/29 files 3.5/s 0:12 left');
});

test('without a total there is no bar, no share and no remaining time', () => {
  assert.equal(
    formatProgress({ label: 'Looking', done: 1500, unit: 'files', rate: 200 }),
    'Looking  1,500 files 200/s',
  );
});

test('a line never gets longer than the terminal: the label gives way', () => {
  const state = {
    label: 'Downloading a model with a very long name',
    done: 1e6,
    total: 4e6,
    unit: 'bytes',
    rate: 1e6,
  };
  const line = formatProgress(state, 60);
  assert.equal(line.length, 60);
  assert.match(line, /^Downloading.*… {2}25% /);
  assert.equal(formatProgress(state, 20).length, 20);
});

test('more than there should be is shown as 100 %', () => {
  assert.match(formatProgress({ label: 'x', done: 31, total: 30, unit: '' }), /100% ██████████ 31\/30$/);
});

test('rate and remaining time come from the samples, and nothing is told before anything moves', () => {
  assert.deepEqual(estimate([], 10), {});
  assert.deepEqual(estimate([{ ms: 0, done: 1 }], 10), {});
  assert.deepEqual(
    estimate(
      [
        { ms: 0, done: 5 },
        { ms: 500, done: 5 },
      ],
      10,
    ),
    {},
  );
  assert.deepEqual(
    estimate(
      [
        { ms: 0, done: 0 },
        { ms: 2000, done: 4 },
      ],
      10,
    ),
    { rate: 2, etaSeconds: 3 },
  );
  assert.deepEqual(
    estimate([
      { ms: 0, done: 0 },
      { ms: 2000, done: 4 },
    ]),
    { rate: 2 },
  );
});

function harness(isTTY: boolean) {
  let ms = 0;
  const written: string[] = [];
  const line = new ProgressLine(
    { isTTY, columns: 80, write: (text: string) => written.push(text) },
    () => ms,
  );
  return { line, written, advance: (by: number) => (ms += by) };
}

test('what takes less than a second shows nothing', () => {
  const { line, written, advance } = harness(true);
  line.update({ label: 'x', done: 0, total: 2, unit: '' });
  advance(999);
  line.update({ label: 'x', done: 1, total: 2, unit: '' });
  line.clear();
  assert.deepEqual(written, []);
});

test('a terminal gets one line, redrawn in place and taken away at the end', () => {
  const { line, written, advance } = harness(true);
  line.update({ label: 'x', done: 0, total: 4, unit: '' });
  advance(1000);
  line.update({ label: 'x', done: 1, total: 4, unit: '' });
  advance(50);
  line.update({ label: 'x', done: 2, total: 4, unit: '' });
  advance(50);
  line.update({ label: 'x', done: 3, total: 4, unit: '' });
  line.clear();
  assert.equal(written.length, 3);
  assert.ok(written.every((text) => text.startsWith('\r\x1b[K') && !text.includes('\n')));
  assert.match(written[0] ?? '', / 25% .* 1\/4 1\/s 0:03 left$/);
  assert.equal(written[2], '\r\x1b[K');
});

test('a log gets a plain line every few seconds', () => {
  const { line, written, advance } = harness(false);
  for (let step = 0; step <= 120; step++) {
    line.update({ label: 'x', done: step, total: 120, unit: '' });
    advance(100);
  }
  line.clear();
  assert.equal(written.length, 3);
  assert.ok(written.every((text) => /^x .*\n$/.test(text)));
});

test('a rate that the caller knows is shown as it is', () => {
  const { line, written, advance } = harness(true);
  advance(2000);
  line.update({ label: 'x', done: 1, total: 4, unit: '', rate: 7, etaSeconds: 9 });
  assert.match(written[0] ?? '', /7\/s 0:09 left$/);
});
