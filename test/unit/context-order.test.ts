import assert from 'node:assert/strict';
import test from 'node:test';
import { readFirst, readingOrder, type OrderInput } from '../../backend/context/order.ts';
import { missedFiles, partOf, type Part } from '../../backend/context/part.ts';
import { packingOf, stateOf } from '../../backend/context/snapshot.ts';
import { PACK_LIMITS } from '../../backend/repo/pack.ts';
import { LexicalIndex } from '../../backend/context/lexical.ts';

const linesOf = (...paths: string[]) => ({
  lead: 0,
  sources: paths.map((path) => ({ path, startLine: 1, tokens: 1, header: 0, lines: [1] })),
});
const day = 24 * 3_600_000;
const now = 1e12;

/** The list of files, then a.ts … f.ts, last changed long ago. */
function input(more: Partial<OrderInput> = {}): OrderInput {
  const paths = ['a', 'b', 'c', 'd', 'e', 'f'].map((name) => `${name}.ts`);
  return {
    segments: [linesOf(), ...paths.map((path) => linesOf(path))].map((lines) => ({ lines })),
    ...{ pinned: [], found: [], focus: [], imports: {} },
    modifiedMs: new Map(paths.map((path) => [path, now - 100 * day])),
    ...{ askedMs: undefined, nowMs: now },
    ...more,
  };
}

test('without anything to go by a repository is read in its order', () => {
  assert.deepEqual(readingOrder(input()), [0, 1, 2, 3, 4, 5, 6]);
});

test('first come pins, then edits, what the question finds, the open file, its imports, and recent changes', () => {
  const { modifiedMs } = input();
  const order = readingOrder(
    input({
      pinned: [6],
      found: [4],
      focus: ['c.ts', 'not-read.png'],
      imports: { 'c.ts': ['b.ts'] },
      modifiedMs: new Map([...modifiedMs, ['e.ts', now - day], ['a.ts', now - 3 * day]]),
      askedMs: now - 2 * day,
    }),
  );
  assert.deepEqual(order, [6, 5, 4, 3, 2, 0, 1]);
});

test('a file in several segments is read in one go', () => {
  const segments = [['a.ts'], ['b.ts'], ['b.ts'], ['c.ts']].map((paths) => ({ lines: linesOf(...paths) }));
  assert.deepEqual(readingOrder(input({ segments, focus: ['b.ts'] })), [1, 2, 0, 3]);
});

const missing = (count: number, tokens: number) => Array.from({ length: count }, (_, id) => ({ id, tokens }));
const none = { required: new Set<number>(), isEmpty: false };

test('a question waits for everything when little is missing, else for the first of it', () => {
  assert.equal(readFirst(missing(16, 4096), 'auto', none).length, 16);
  assert.deepEqual(readFirst(missing(17, 4096), 'auto', none), [0, 1, 2, 3]);
  assert.equal(readFirst(missing(17, 4096), 'all', none).length, 17);
});

test('what the user pinned takes nothing from what the question gets', () => {
  const pinned = [90, 91].map((id) => ({ id, tokens: 12_000 }));
  const required = new Set([90, 91]);
  const all = [...pinned, ...missing(17, 4096)];
  assert.deepEqual(readFirst(all, 'auto', { required, isEmpty: false }), [90, 91, 0, 1, 2, 3]);
});

test('a state of a tree with very many files has a name, and any other has another', () => {
  const files = Array.from({ length: 200_000 }, (_, i) => ({ path: `${i}.ts`, hash: `${i}` }));
  const [packing, other] = ['frame', 'other'].map((frame) => packingOf(frame, PACK_LIMITS));
  assert.ok(packing && other);
  const name = stateOf(packing, files);
  assert.equal(stateOf(packing, files.slice()), name);
  assert.notEqual(stateOf(packing, files.slice(1)), name);
  assert.notEqual(stateOf(other, files), name);
});

test('what the user pinned is read in any case, and something always is', () => {
  const required = new Set([9]);
  assert.deepEqual(readFirst(missing(17, 4096), 'auto', { required, isEmpty: false }), [0, 1, 2, 3, 9]);
  assert.deepEqual(readFirst(missing(17, 4096), 'none', { required, isEmpty: true }), [9]);
  assert.deepEqual(readFirst(missing(3, 4096), 'none', none), []);
  assert.deepEqual(readFirst(missing(3, 4096), 'none', { ...none, isEmpty: true }), [0]);
});

const words = ['apple', 'banana', 'cherry'];
const whole: Part = {
  frame: { hash: '', content: new Int32Array(), text: '' },
  segments: words.map((word) => ({ hash: word, tokens: 1, lines: linesOf(`${word}.ts`), blank: [[]] })),
  lexical: LexicalIndex.build(words.map((text, segment) => ({ segment, path: `${text}.ts`, text }))),
  imports: {},
};

test('a part counts its segments from 0 and finds only them', () => {
  const part = partOf(whole, [0, 2]);
  assert.deepEqual(
    part.segments.map(({ hash }) => hash),
    ['apple', 'cherry'],
  );
  assert.deepEqual(part.lexical.rank('cherry or banana'), { segments: [1], paths: ['cherry.ts'] });
  assert.deepEqual(part.lexical.holders('banana'), { segments: [], paths: [] });
});

test('the files that a question points at and that are not read are named', () => {
  const read = new Set([0, 2]);
  assert.deepEqual(missedFiles(whole, read, 'cherry or banana'), ['banana.ts']);
  assert.deepEqual(missedFiles(whole, read, 'apple'), []);
  assert.deepEqual(missedFiles(whole, new Set([0, 1, 2]), 'banana'), []);
});
