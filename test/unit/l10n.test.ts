import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { t, useBundle } from '../../extension/l10n.ts';

afterEach(() => useBundle(undefined));

test('a text is in English where there is no other one, with its values in place', () => {
  assert.equal(t('{1} of {0}', 'two', 1), '1 of two');
  assert.equal(t('{0} and {1}', 'one'), 'one and {1}');
});

test('a text is in the language of the bundle, and its values may change places', () => {
  useBundle({ '{0} of {1}': 'von {1} {0}' });
  assert.equal(t('{0} of {1}', 1, 2), 'von 2 1');
  assert.equal(t('untranslated'), 'untranslated');
});
