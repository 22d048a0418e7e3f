import assert from 'node:assert/strict';
import { test } from 'node:test';
import { logSoftmax } from '../../backend/engine/likelihood.ts';

test('a log-softmax is that of its definition, also for logits whose exponential is no number', () => {
  const direct = Math.log(Math.exp(1) / (Math.exp(1) + Math.exp(2) + Math.exp(3)));
  assert.ok(Math.abs(logSoftmax(Float32Array.of(1, 2, 3), 0) - direct) < 1e-12);
  assert.ok(Math.abs(logSoftmax(Float32Array.of(1001, 1002, 1003), 0) - direct) < 1e-12);
});
