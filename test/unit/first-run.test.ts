import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ModelInfo } from '../../backend/protocol.ts';
import { predictPrefillRate } from '../../backend/models/speed.ts';
import { predictions, withRate } from '../../extension/first-run/prediction.ts';
import { welcomeOf } from '../../extension/first-run/welcome.ts';
import type { WelcomeFacts } from '../../extension/first-run/welcome.ts';

const good: WelcomeFacts = { folder: 'local', trusted: true, model: 'ready', backend: 'running' };
const welcome = (facts: Partial<WelcomeFacts>) => welcomeOf({ ...good, ...facts });
const commands = (facts: Partial<WelcomeFacts>) => welcome(facts).actions.map(({ command }) => command);

test('with all there the chat suggests questions and nothing else', () => {
  assert.equal(welcome({}).suggestions, true);
  assert.deepEqual(commands({}), []);
});

test('what is missing is said with the button that brings it first, the most basic thing first', () => {
  assert.deepEqual(commands({ folder: 'none', backend: 'failed', model: 'absent' }), [
    'workbench.action.files.openFolder',
    'repowave.getStarted',
  ]);
  assert.match(welcome({ folder: 'virtual' }).text, /on disk/);
  assert.deepEqual(commands({ backend: 'failed', model: 'absent' }), [
    'repowave.restart',
    'repowave.showLog',
    'repowave.copyDiagnostics',
  ]);
  assert.deepEqual(commands({ model: 'absent', trusted: false }), [
    'repowave.selectModel',
    'repowave.getStarted',
  ]);
  assert.deepEqual(commands({ trusted: false }), ['workbench.trust.manage']);
});

test('before the first run questions are suggested beside the way to get started', () => {
  assert.equal(welcome({ model: 'unknown' }).suggestions, true);
  assert.deepEqual(commands({ model: 'unknown' }), ['repowave.getStarted']);
});

const model = (id: string, usual = false): ModelInfo => ({
  ...{ id, name: id.toUpperCase(), bytes: 5e8, licence: 'Apache-2.0', terms: null },
  ...{ trainedContext: 32_768, default: usual, path: null },
});

test('the time to read a folder is predicted for every model whose speed is known', () => {
  const probe = { sourceBytes: 350_000, prefillRates: { small: 100, big: 10 } };
  assert.deepEqual(predictions(probe, [model('small'), model('big'), model('unknown')], {}), [
    {
      model: 'SMALL',
      time: '16m40s, predicted to a factor of two',
      detail: 'This folder: about 100k tokens at 100 tokens/s',
    },
    {
      model: 'BIG',
      time: '2h46m, predicted to a factor of two',
      detail: 'This folder: about 100k tokens at 10 tokens/s',
    },
  ]);
});

test('without a folder the prediction is for a usual number of tokens', () => {
  const [first] = predictions({ sourceBytes: null, prefillRates: { small: 100 } }, [model('small')], {});
  assert.equal(first?.detail, '100k tokens at 100 tokens/s');
});

test('what a read has measured replaces the prediction, also of the model that is used without being named', () => {
  const rates = withRate({}, '', { prefillTokens: 10_000, prefillMs: 50_000 });
  const probe = { sourceBytes: 3500, prefillRates: { small: 100, other: 100 } };
  const [first, second] = predictions(probe, [model('small', true), model('other')], rates);
  assert.equal(first?.time, '5s, as measured here');
  assert.match(second?.time ?? '', /predicted/);
});

test('a read from the store or of a few tokens measures nothing', () => {
  assert.deepEqual(withRate({}, 'small', { prefillTokens: 0, prefillMs: 0 }), {});
  assert.deepEqual(withRate({}, 'small', { prefillTokens: 300, prefillMs: 10 }), {});
});

test('the predicted rate grows with the threads and falls with the weights, and without vectors it is low', () => {
  const rate = predictPrefillRate(491e6, 2, 'avx512-vnni');
  assert.ok(Math.abs(rate - 451) < 5, String(rate));
  assert.equal(predictPrefillRate(491e6, 4, 'avx512-vnni'), 2 * rate);
  assert.equal(predictPrefillRate(982e6, 2, 'avx512-vnni'), rate / 2);
  assert.ok(predictPrefillRate(491e6, 2, 'scalar') < rate / 5);
});
