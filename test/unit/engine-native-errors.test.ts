import assert from 'node:assert/strict';
import path from 'node:path';
import test from 'node:test';
import { asUserError } from '../../backend/engine/native-errors.ts';
import { storeDirectory } from '../../backend/paths.ts';

const failure = (code: string, file?: string) => Object.assign(new Error(code), { code, path: file });

test('a full disk and a used-up quota are the same to a user', () => {
  assert.equal(asUserError(failure('ENOSPC'))?.code, 'noSpace');
  assert.equal(asUserError(failure('EDQUOT'))?.code, 'noSpace');
});

test('a store that may not be written to is named with the way out', () => {
  const inside = path.join(storeDirectory(), 'scans', 'x.json');
  for (const file of [undefined, inside, path.dirname(storeDirectory())]) {
    for (const code of ['EACCES', 'EPERM', 'EROFS']) {
      const error = asUserError(failure(code, file));
      assert.equal(error?.code, 'environment');
      assert.match(error.message, /^The store .* cannot be written to: .* set REPOWAVE_STORE/);
    }
  }
});

test('a file elsewhere that may not be read is not taken for the store', () => {
  assert.equal(asUserError(failure('EACCES', '/elsewhere/model.gguf')), undefined);
});
