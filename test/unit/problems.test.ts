import assert from 'node:assert/strict';
import { test } from 'node:test';
import { problemOf } from '../../extension/problems.ts';

const error = (name: string, message = 'What is wrong.') => ({ message, code: -32803, data: { name } });

test('a model that cannot be used is told with the way to another one', () => {
  for (const name of ['modelUnknown', 'modelCorrupt', 'modelUnsupported', 'checksumMismatch', 'download']) {
    assert.ok(problemOf(error(name))?.remedies.includes('selectModel'), name);
  }
});

test('a licence that was not accepted is told without the command line', () => {
  const problem = problemOf(error('licence', 'fetch it with `repowave models --accept-licence`'));
  assert.doesNotMatch(problem?.message ?? '', /repowave models/);
  assert.deepEqual(problem?.remedies[0], 'selectModel');
});

test('what was cancelled is no problem, and a defect leads to the log', () => {
  assert.equal(problemOf({ message: 'x', code: -32800 }), undefined);
  assert.equal(problemOf(error('cancelled')), undefined);
  const defect = problemOf(new TypeError('x is undefined'));
  assert.equal(defect?.message, 'Something went wrong: x is undefined. The log tells more.');
  assert.deepEqual(defect?.remedies, ['retry', 'log']);
});
