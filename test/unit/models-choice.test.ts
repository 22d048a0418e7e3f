import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ModelInfo } from '../../backend/protocol.ts';
import { chosenModel, isFile, licenceQuestion, modelRows } from '../../extension/models/choice.ts';

const usual: ModelInfo = {
  ...{ id: 'usual', name: 'Usual 0.5B', bytes: 491e6, licence: 'Apache-2.0', terms: null },
  ...{ trainedContext: 32_768, default: true, path: null },
};
const here: ModelInfo = {
  ...usual,
  id: 'here',
  name: 'Here 135M',
  bytes: 98e6,
  default: false,
  path: '/m/h.gguf',
};
const closed: ModelInfo = {
  ...{ ...usual, id: 'closed', name: 'Closed 270M', default: false },
  ...{ licence: 'Some Terms (https://example.org/terms)', terms: 'https://example.org/terms' },
};
const models = [usual, here, closed];

test('models on this machine come first, then those to download, then the import of a file', () => {
  const rows = modelRows(models, '');
  assert.deepEqual(
    rows.map(({ group, label }) => [group, label]),
    [
      ['On this machine', '$(circle-large-outline) Here 135M'],
      ['To be downloaded', '$(check) Usual 0.5B'],
      ['To be downloaded', '$(cloud-download) Closed 270M'],
      ['Other', '$(file-add) Import a Model File…'],
    ],
  );
});

test('size, licence and whether it is there stand at every model', () => {
  const [first, second, third] = modelRows(models, 'here');
  assert.equal(first?.label, '$(check) Here 135M');
  assert.equal(first.description, '98 MB · Apache-2.0');
  assert.equal(first.detail, 'Downloaded · trained on 32,768 tokens');
  assert.equal(second?.detail, 'Not downloaded · trained on 32,768 tokens · default');
  assert.equal(third?.description, '491 MB · Some Terms (https://example.org/terms)');
  assert.match(third.detail, /^Not downloaded · licence to be accepted · /);
});

test("a file that the settings name is shown as the user's own, and chosen", () => {
  const [first, ...others] = modelRows(models, '/home/me/mine.gguf');
  assert.equal(first?.label, '$(check) mine.gguf');
  assert.equal(first.detail, '/home/me/mine.gguf');
  assert.ok(!others.some(({ label }) => label.startsWith('$(check)')));
});

test('no setting means the default model, and an unknown one none', () => {
  assert.equal(chosenModel(models, ''), usual);
  assert.equal(chosenModel(models, 'here'), here);
  assert.equal(chosenModel(models, 'gone'), undefined);
  assert.equal(isFile('model.GGUF'), true);
  assert.equal(isFile('qwen2.5-coder-0.5b'), false);
});

test('the question about a licence names it once and says where it is to be read', () => {
  const { message, detail } = licenceQuestion(closed);
  assert.equal(message, 'Closed 270M is not open source: its licence is the Some Terms.');
  assert.match(detail, /Read it at https:\/\/example\.org\/terms\./);
});
