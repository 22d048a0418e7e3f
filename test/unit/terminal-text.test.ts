import assert from 'node:assert/strict';
import test from 'node:test';
import { exactAttention } from '../fixtures/exact-attention.mjs';
import { answerReport, indexReport } from '../../backend/terminal/report.ts';
import { printableName } from '../../backend/terminal/text.ts';
import { memory } from '../fixtures/memory.mjs';

test('a name cannot steer the terminal, break the line or turn text around', () => {
  assert.equal(printableName('a\u001b[2J\n\t\u009b.ts'), 'a\\u001b[2J\\u000a\\u0009\\u009b.ts');
  assert.equal(printableName('\u202egpj.ts\u2066\u2069'), '\\u202egpj.ts\\u2066\\u2069');
  assert.equal(printableName('Größe 🌊/файл.ts'), 'Größe 🌊/файл.ts');
});

test('the report of an index shows names and reasons that way', () => {
  const excluded = [{ file: 'a\u001b]0;x\u0007.ts', reason: 'unreadable: b\n\u001b[1m' }];
  const text = indexReport(
    {
      context: { tokens: 1, files: 1, excluded, coverage: 1, budget: 1, state: '' },
      timing: { prefillTokens: 0, prefillMs: 0, indexMs: 0, diskMs: 0 },
      memory,
    },
    true,
  );
  assert.match(text, / {2}a\\u001b\]0;x\\u0007\.ts: unreadable: b\\u000a\\u001b\[1m\n$/);
});

test('an answer from a part of the repository says how much was read, and what may be missing', () => {
  const report = (coverage: number, missed: string[]) =>
    answerReport(
      {
        ...{ answer: 'a', citations: [], finish: 'stop', missed },
        context: { tokens: 1_000, files: 9, excluded: [], coverage, budget: 1, state: '' },
        timing: {
          ...{ prefillTokens: 0, prefillMs: 0, indexMs: 0, diskMs: 0 },
          ...{ ttftMs: 1, decodeTokensPerSecond: 1 },
        },
        memory,
        ...exactAttention,
      },
      (_style, text) => text,
    );
  assert.match(report(0.639, ['src/a.ts']), /1,000 tokens from 9 files, 63 % of them read\n/);
  assert.match(
    report(0.639, ['src/a.ts', 'b.ts']),
    /\nNot read +src\/a\.ts, b\.ts look like they matter; --wait all /,
  );
  assert.match(report(0.9999, []), /, 99 % of them read\n/);
  assert.doesNotMatch(report(1, []), /them read|Not read/);
});
