import assert from 'node:assert/strict';
import test from 'node:test';
import { indexReport } from '../../backend/terminal/report.ts';
import { printableName } from '../../backend/terminal/text.ts';

test('a name cannot steer the terminal, break the line or turn text around', () => {
  assert.equal(printableName('a\u001b[2J\n\t\u009b.ts'), 'a\\u001b[2J\\u000a\\u0009\\u009b.ts');
  assert.equal(printableName('\u202egpj.ts\u2066\u2069'), '\\u202egpj.ts\\u2066\\u2069');
  assert.equal(printableName('Größe 🌊/файл.ts'), 'Größe 🌊/файл.ts');
});

test('the report of an index shows names and reasons that way', () => {
  const excluded = [{ file: 'a\u001b]0;x\u0007.ts', reason: 'unreadable: b\n\u001b[1m' }];
  const text = indexReport(
    {
      context: { tokens: 1, files: 1, excluded, coverage: 1, budget: 1 },
      timing: { prefillTokens: 0, prefillMs: 0, indexMs: 0, diskMs: 0 },
      memory: { ramBytes: 1, diskBytes: 1, gpuBytes: 0 },
    },
    true,
  );
  assert.match(text, / {2}a\\u001b\]0;x\\u0007\.ts: unreadable: b\\u000a\\u001b\[1m\n$/);
});
