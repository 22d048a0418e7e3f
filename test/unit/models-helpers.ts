import assert from 'node:assert/strict';
import { UserError } from '../../backend/errors.ts';
import type { ErrorName } from '../../backend/protocol.ts';

/** For `assert.rejects`: an error for users, with this code and wording. */
export const fails =
  (code: ErrorName, pattern = /./) =>
  (error: unknown) => {
    assert.ok(error instanceof UserError, String(error));
    assert.equal(error.code, code);
    assert.match(error.message, pattern);
    return true;
  };
