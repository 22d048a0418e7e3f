import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Restarts } from '../../extension/backend/restarts.ts';
import { problemOf } from '../../extension/problems.ts';

test('a backend is restarted four times in three minutes, each time after a longer pause', () => {
  const restarts = new Restarts();
  const delays = [0, 1000, 2000, 3000, 4000].map((now) => restarts.next(now));
  assert.deepEqual(delays, [250, 500, 1000, 2000, null]);
});

test('old restarts do not count, and neither do those before a restart by hand', () => {
  const restarts = new Restarts();
  for (let i = 0; i < 4; i++) restarts.next(0);
  assert.equal(restarts.next(179_999), null);
  assert.equal(restarts.next(180_000), 250);
  restarts.forget();
  assert.equal(restarts.next(180_001), 250);
});

test('an error for users is shown as it is, everything else as a defect with the log at hand', () => {
  const known = { message: 'The folder is empty: open another.', code: 5, data: { name: 'repositoryEmpty' } };
  assert.deepEqual(problemOf(known), { message: known.message, remedies: ['retry'] });
  const defect = problemOf(new TypeError('x is undefined'));
  assert.match(defect?.message ?? '', /x is undefined/);
  assert.deepEqual(defect?.remedies, ['retry', 'log']);
});

test('a cancelled request is no error', () => {
  assert.equal(problemOf({ code: -32800, message: 'cancelled' }), undefined);
  assert.equal(problemOf({ code: 130, message: 'Cancelled.', data: { name: 'cancelled' } }), undefined);
});
