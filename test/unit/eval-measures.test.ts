import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Head } from '../../backend/engine/native.ts';
import type { Question } from '../eval/corpus.ts';
import { chooseHeads, type HeadTrial } from '../eval/heads.ts';
import { fidelityTable, recallTable, spread, type Outcome } from '../eval/outcomes.ts';
import { scoreAnswer } from '../eval/score.ts';
import { signTest, wilson } from '../eval/statistics.ts';
import { parseVariants } from '../eval/variants.ts';

const near = (actual: number, expected: number) => assert.ok(Math.abs(actual - expected) < 5e-4, `${actual}`);
/** Logits under which `token` comes first. */
const says = (token: number) => Float32Array.from({ length: 5 }, (_, i) => (i === token ? 3 : i / 10));

test('an answer is exact only when every token comes first', () => {
  const gold = Int32Array.of(1, 4);
  assert.equal(scoreAnswer([says(1), says(4)], gold).exact, true);
  const half = scoreAnswer([says(1), says(2)], gold);
  assert.deepEqual([half.exact, half.right, half.tokens], [false, 1, 2]);
  assert.equal(scoreAnswer([says(0), says(0)], gold).exact, false);
});

test('an empty answer, and one of a model that computes nonsense, is wrong', () => {
  assert.equal(scoreAnswer([], Int32Array.of()).exact, false);
  assert.equal(scoreAnswer([new Float32Array(5).fill(NaN)], Int32Array.of(0)).exact, false);
  assert.throws(() => scoreAnswer([], Int32Array.of(1)), /0 and 0 steps do not fit 1 tokens/);
});

test('likelihood, divergence and agreement follow their definitions', () => {
  const p = Float32Array.of(Math.log(0.5), Math.log(0.25), Math.log(0.25));
  const q = Float32Array.of(1, 1, 1);
  const score = scoreAnswer([q], Int32Array.of(1), [p]);
  near(score.nll, Math.log(3));
  near(score.kl, 0.5 * Math.log(1.5) + 0.5 * Math.log(0.75));
  assert.equal(score.agreement, 1);
  assert.equal(scoreAnswer([p], Int32Array.of(1)).kl, 0);
  assert.equal(scoreAnswer([says(2)], Int32Array.of(2), [says(3)]).agreement, 0);
});

test('the interval and the sign test have the published values', () => {
  near(wilson(8, 10)[0], 0.4902);
  near(wilson(8, 10)[1], 0.9433);
  assert.deepEqual(wilson(0, 0), [0, 1]);
  near(wilson(0, 10)[1], 0.2775);
  near(signTest(8, 1), 0.0391);
  near(signTest(1, 8), 0.0391);
  near(signTest(16, 2), 0.0013);
  assert.equal(signTest(0, 0), 1);
  assert.equal(signTest(3, 3), 1);
});

test('variants are read with their options, in which commas and colons mean what they should', () => {
  const [full, oracle, gate, wave] = parseVariants(
    'full,oracle,gate2:others=coarse:-4,inside=wave:0.018/1024,estimate=off,paths=yes,all-wave:inside=wave:0.05',
  );
  assert.equal(full?.sees, 'text');
  assert.deepEqual([oracle?.sees, oracle?.inside, oracle?.others], ['right', 'exact', undefined]);
  assert.equal(gate?.name, 'gate2:others=coarse:-4,inside=wave:0.018/1024,estimate=off,paths=yes');
  assert.deepEqual([gate.width, gate.others, gate.paths], [2, { detail: 'coarse', bias: -4 }, true]);
  assert.deepEqual([gate.budget.share, gate.budget.tokens, gate.budget.estimate], [0.018, 1024, false]);
  assert.deepEqual(
    [wave?.sees, wave?.inside, wave?.budget.share, wave?.budget.tokens],
    ['all', 'wave', 0.05, 0],
  );
  assert.equal(parseVariants('gate-auto')[0]?.width, 'auto');
  assert.deepEqual(
    parseVariants('gate2:free=yes,gate2').map(({ free }) => free),
    [true, false],
  );
});

test('what is no variant is refused, with the part that is not understood', () => {
  for (const [text, part] of [
    ['half', '`half` is no kind'],
    ['', '`` is no kind'],
    ['toString', '`toString` is no kind'],
    ['gate0', '`k=0` means nothing for gate'],
    ['gate:width=2', '`width=2` means nothing'],
    ['gate:constructor=2', '`constructor=2` means nothing'],
    ['oracle:free=yes', '`free=yes` means nothing for oracle'],
    ['full:inside=exact', '`inside=exact` means nothing for full'],
    ['oracle:k=2', '`k=2` means nothing for oracle'],
    ['gate1:inside=wave:2', '`inside=wave:2` means nothing'],
    ['gate1:others=coarse:x', '`others=coarse:x` means nothing'],
    ['exact,exact', '`exact` is there twice'],
  ] as const)
    assert.throws(() => parseVariants(text), { code: 'usage', message: new RegExp(escape(part)) }, text);
});

const escape = (text: string) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

const outcome = (
  variant: string,
  question: string,
  exact: boolean,
  type: Outcome['type'] = 'T1',
): Outcome => ({
  ...{ id: question, type, question, variant, visible: 1, found: true, exact },
  ...{ tokens: 2, right: exact ? 2 : 1, nll: 1, kl: 0, agreement: 1 },
});

test('the table counts wins and losses question by question', () => {
  const questions = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'];
  const text = fidelityTable(
    [
      ...questions.map((name) => outcome('full', name, name === 'h')),
      ...questions.map((name) => outcome('gate1', name, name !== 'h')),
    ],
    ['full'],
  );
  const [, full, gate] = text.split('\n');
  assert.match(full!, /^full +1\/8 +1\/8 +2-47 .* - +/);
  assert.match(gate!, /^gate1 +7\/8 +7\/8 .* \+7\/-1 p=0\.070/);
});

test('an answer in the own words of the model has no tokens to compare, and counts all the same', () => {
  const free = { ...outcome('gate-auto:free=yes', 'a', true), tokens: 0, right: 0, nll: 0, agreement: 0 };
  const [, forced, own] = fidelityTable([outcome('exact', 'a', false), free], ['exact']).split('\n');
  assert.match(forced!, /^exact +0\/1 .* 0\.500 +1\.000 /);
  assert.match(own!, /^gate-auto:free=yes +1\/1 .* - +- +\+1\/-0 .* - +-$/);
});

test('a question about two constants is answered when both values are right', () => {
  const both = [outcome('exact', 'two', true, 'T7'), outcome('exact', 'two', true, 'T7')];
  const one = [outcome('gate2', 'two', false, 'T7'), outcome('gate2', 'two', true, 'T7')];
  const [, first, second] = fidelityTable([...both, ...one], ['exact']).split('\n');
  assert.match(first!, /^exact +1\/1 /);
  assert.match(second!, /^gate2 +0\/1 .*\+0\/-1/);
});

test('recall is counted per selector and width', () => {
  const recall = (selector: string, found: boolean[]) => ({ id: 'x', type: 'T2' as const, selector, found });
  const text = recallTable([
    recall('bm25', [false, true, true, true]),
    recall('bm25', [false, false, false, true]),
    recall('heads', [true, true, true, true]),
  ]);
  assert.match(text, /bm25 +0\/1\/1\/2 of 2 +0\/1\/1\/2 of 2\n/);
  assert.match(text, /heads +1\/1\/1\/1 of 1/);
});

test('some questions are taken from all over the corpus, the two about one pair together', () => {
  const make = (type: Question['type'], question: string): Question => ({
    ...{ id: '', type, question, answerPrefix: '', gold: 'x', paths: ['a'] },
  });
  const all = [
    ...Array.from({ length: 10 }, (_, i) => make('T1', `${i}`)),
    ...['p', 'p', 'q', 'q', 'r', 'r'].map((text) => make('T7', text)),
  ];
  assert.deepEqual(
    spread(all, ['T1', 'T7'], 2).map(({ question }) => question),
    ['2', '7', 'p', 'p', 'r', 'r'],
  );
  assert.equal(spread(all, ['T1', 'T2'], 99).length, 10);
});

test('the heads that rank the right segment first are chosen, and judged on questions they were not chosen by', () => {
  const heads: Head[] = [
    [0, 0],
    [0, 1],
    [1, 0],
    [1, 1],
  ];
  // Heads 1 and 3 look at the right one of three segments, 0 is right on even trials only, 2 never.
  const trials: HeadTrial[] = Array.from({ length: 8 }, (_, i) => {
    const right = i % 3;
    const on = (segment: number) => [0, 1, 2].map((id) => (id === segment ? 0.8 : 0.1));
    const away = on((right + 1) % 3);
    return {
      mass: Float32Array.from([...(i % 2 ? away : on(right)), ...on(right), ...away, ...on(right)]),
      segments: 3,
      right,
    };
  });
  const choice = chooseHeads(trials, heads, 2);
  assert.deepEqual(
    choice.heads.map(({ head }) => head),
    [
      [0, 1],
      [1, 1],
    ],
  );
  assert.equal(choice.inSample, 1);
  // By the even trials head 0 looks as good as the others and comes first: on the odd ones it is wrong.
  assert.ok(choice.heldOut < 1 && choice.heldOut > 0.5);
});

test('a head that looks nowhere does not count as finding the segment', () => {
  const trial: HeadTrial = { mass: new Float32Array(3), segments: 3, right: 0 };
  assert.equal(chooseHeads([trial, trial], [[0, 0]], 1).inSample, 1 / 3);
});
