import assert from 'node:assert/strict';
import test from 'node:test';
import { chooseSegments, headScores, type GateInput } from '../../backend/context/gate.ts';
import { LexicalIndex } from '../../backend/context/lexical.ts';
import { asksForFiles, isName, namesIn, valueOf } from '../../backend/context/names.ts';
import { segmentsAt } from '../../backend/context/paths.ts';
import { assembleViews } from '../../backend/context/views.ts';
import type { NativeSegment } from '../../backend/engine/native.ts';

/** Segment 0 is the list of files. */
const texts = [
  '',
  'openDoor() and lock',
  'class WallPainter',
  'paint the wall red',
  'roofTiles',
  'other wall',
];
const lexical = LexicalIndex.build(
  texts.flatMap((text, segment) => (text ? [{ segment, path: `src/f${segment}.ts`, text }] : [])),
);

function choose(question: string, more: Partial<GateInput> = {}): string[] {
  const input: GateInput = {
    ...{
      question,
      lexical,
      heads: undefined,
      listing: [0],
      leads: [],
      pinned: [],
      dropped: new Set<number>(),
    },
    ...{ neighbours: () => [], width: 'auto' as const },
    ...more,
  };
  return chooseSegments(input).map(({ segment, reason }) => `${segment} ${reason}`);
}

test('names are what is quoted or looks like an identifier or a path', () => {
  assert.deepEqual(namesIn('How does readFile use `cache` of "a b" in src/a-b.ts, or fs.open?'), [
    ...['readFile', 'cache', 'a b', 'src/a-b.ts', 'fs.open'],
  ]);
  assert.deepEqual(namesIn("What doesn't the walker read, and the user's file?"), []);
});

test('what a name is set to is told from other uses of it', () => {
  const settings: [name: string, text: string, value: string | undefined][] = [
    ['LIMIT', 'x\nexport const LIMIT: number = config.MOST; // at most\ny', 'config.MOST'],
    ['max_size', '    max_size = DEFAULT_SIZE', 'DEFAULT_SIZE'],
    ['a$.b', 'a$.b := f(C_D, 1)', 'f(C_D, 1)'],
    ['LIMIT', 'if (LIMIT === OTHER_LIMIT)', undefined],
    ['LIMIT', 'MY_LIMIT = OTHER_LIMIT\nmy.LIMIT = 1\nx = LIMIT', undefined],
  ];
  for (const [name, text, value] of settings) assert.equal(valueOf(name, text), value, text);
  assert.deepEqual(['config.MOST', 'a_b', 'f(C_D, 1)', '512', 'value', 'new X'].filter(isName), [
    ...['config.MOST', 'a_b'],
  ]);
});

test('a question for the files themselves is told from one about what is in them', () => {
  assert.ok(asksForFiles('Which files are there?'));
  assert.ok(asksForFiles('List all files'));
  assert.ok(!asksForFiles('Which file defines openDoor?'));
  assert.ok(!asksForFiles('How are files read?'));
});

test('one name makes one segment visible, two names two, no name three', () => {
  assert.deepEqual(choose('What is openDoor?'), ['1 words']);
  assert.deepEqual(choose('What is openDoor for roofTiles?').sort(), ['1 words', '4 words']);
  assert.equal(choose('Who paints a wall?').length, 3);
  assert.equal(choose('What is noSuchName of the wall?').length, 3, 'a name that does not occur is none');
});

test('more names do not widen the gate beyond four, a number of the user does', () => {
  const many = LexicalIndex.build(
    Array.from({ length: 9 }, (_, i) => ({
      segment: i + 1,
      path: `p${i}`,
      text: `nameOf${'abcdefghi'[i]}X`,
    })),
  );
  const question = 'nameOfaX nameOfbX nameOfcX nameOfdX nameOfeX nameOffX?';
  assert.equal(choose(question, { lexical: many }).length, 4);
  assert.equal(choose(question, { lexical: many, width: 6 }).length, 6);
});

test('words and heads choose the first together, the heads none of its companions', () => {
  const heads = Float64Array.of(9, 0.1, 0.2, 0.3, 5, 1);
  assert.deepEqual(choose('Who paints a wall?', { heads })[0], '3 words', 'first by words, third by heads');
  assert.ok(!choose('Who paints a wall?', { heads }).some((choice) => choice.includes('heads')));
  assert.deepEqual(choose('giraffe', { heads }), ['4 heads']);
});

test('words count double when the question holds a name, else the same as heads', () => {
  // By words 1 is first and 5 second, by heads 5 is first and 1 third.
  const heads = Float64Array.of(0, 4, 5, 1, 1, 9);
  const first = (question: string) => choose(question, { heads, width: 1 })[0];
  assert.deepEqual(lexical.rank('lock wall').segments.slice(0, 2), [1, 5]);
  assert.equal(first('lock wall'), '5 heads');
  assert.equal(first('lock wall `noSuchName`'), '1 words');
});

test('where the names of a question lead comes first, and what is best for them is there all the same', () => {
  assert.deepEqual(choose('What is openDoor?', { leads: [1, 4] }), ['1 words', '4 words']);
  assert.deepEqual(choose('What is openDoor?', { leads: [4, 2] }), ['4 words', '2 words', '1 words']);
  assert.deepEqual(choose('What is openDoor?', { leads: [4, 2], width: 1 }), ['4 words']);
});

test('what the first segment imports comes along', () => {
  assert.deepEqual(choose('lock', { neighbours: (segment) => (segment === 1 ? [4] : []) }), [
    ...['1 words', '4 imports'],
  ]);
});

test('the list of files is chosen when asked for, or when nothing else is', () => {
  assert.deepEqual(choose('Which files are there?', { heads: Float64Array.of(0, 1, 2, 3, 4, 5) }), [
    '0 words',
  ]);
  assert.deepEqual(choose('giraffe'), ['0 words']);
  assert.ok(
    !choose('wall', { heads: Float64Array.of(9, 1, 1, 1, 1, 1) }).some((choice) => choice.startsWith('0')),
  );
});

test('pinned segments come on top, dropped ones never', () => {
  assert.deepEqual(choose('openDoor', { pinned: [5] }), ['5 pinned', '1 words']);
  assert.ok(!choose('wall', { dropped: new Set([3]) }).some((choice) => choice.startsWith('3')));
});

test('every head has the same vote, whatever its mass', () => {
  assert.deepEqual([...headScores(Float32Array.of(0.5, 0.5, 0, 0.004, 0, 0), 3)], [1.5, 0.5, 0]);
  assert.deepEqual([...headScores(Float32Array.of(0, 0), 2)], [0, 0]);
});

const segment = (tokens: number) => ({ tokens }) as NativeSegment;
const stored = { frame: segment(100), segments: [segment(5000), segment(4000), segment(10)] };
const described = (visible: number[], mode: 'auto' | 'exact' | 'wave', others: 'estimate' | 'mask') => {
  const assembled = assembleViews(stored, new Set(visible), new Set(), { mode, others });
  return assembled.views.map(({ detail, bias, position }) => `${detail} ${bias} @${position}`);
};

test('auto is exact while little is visible, and the others are an outline turned down', () => {
  assert.deepEqual(described([1], 'auto', 'estimate'), [
    ...['exact 0 @0', 'coarse -4 @100', 'exact 0 @100', 'coarse -4 @100'],
  ]);
  assert.deepEqual(described([0, 1], 'auto', 'estimate'), [
    ...['exact 0 @0', 'wave 0 @100', 'wave 0 @100', 'coarse -4 @100'],
  ]);
});

test('exact turns the others down, mask leaves them out', () => {
  assert.deepEqual(described([1], 'exact', 'estimate')[1], 'exact -4 @100');
  assert.deepEqual(described([1], 'wave', 'mask'), ['exact 0 @0', 'wave 0 @100']);
});

test('paths name segments, whole folders too, and unknown ones are refused', () => {
  const holding = (path: string) => ({
    lines: { lead: 0, sources: [{ path, startLine: 1, tokens: 1, header: 0, lines: [1] }] },
  });
  const segments = ['a/x.ts', 'a/b/y.ts', 'ab/z.ts'].map(holding);
  assert.deepEqual(segmentsAt(['a/'], '/r', segments), [0, 1]);
  assert.deepEqual(segmentsAt(['/r/ab/z.ts', './a/x.ts'], '/r', segments), [0, 2]);
  assert.throws(() => segmentsAt(['b'], '/r', segments), { code: 'usage' });
  assert.throws(() => segmentsAt(['../r2'], '/r', segments), { code: 'usage' });
});
