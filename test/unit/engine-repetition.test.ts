import assert from 'node:assert/strict';
import test from 'node:test';
import { endsInLoop } from '../../backend/engine/repetition.ts';

const times = (run: number[], count: number): number[] => Array.from({ length: count }, () => run).flat();
const sentence = Array.from({ length: 10 }, (_, i) => i);

test('the fourth time of the same sentence is a loop, the third is not', () => {
  assert.equal(endsInLoop([99, ...times(sentence, 4)]), true);
  assert.equal(endsInLoop([99, ...times(sentence, 3)]), false);
});

test('a short ruler is no loop, an endless one is', () => {
  assert.equal(endsInLoop(times([7], 31)), false);
  assert.equal(endsInLoop(times([7], 32)), true);
});

test('something new at the end is no loop', () => {
  assert.equal(endsInLoop([...times(sentence, 8), 55]), false);
});
