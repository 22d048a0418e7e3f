import assert from 'node:assert/strict';
import { test } from 'node:test';
import { changedSettings, diagnosticsReport, redact } from '../../extension/diagnostics/report.ts';

const facts = {
  versions: { RepoWave: '0.1.0, protocol 3' },
  checks: [
    { name: 'Memory', ok: true, detail: '8 GB' },
    { name: 'Models', ok: false, detail: 'none in /home/ada/.cache/models' },
  ],
  settings: { 'repowave.model': '/home/ada/m.gguf', 'repowave.exclude': ['*.snap'] },
  errors: ['2026-01-01 /home/ada/work is empty.'],
};

test('diagnostics have versions, checks, changed settings and errors, without the name of the home folder', () => {
  const report = diagnosticsReport(facts, '/home/ada');
  assert.match(report, /- RepoWave: 0\.1\.0, protocol 3\n/);
  assert.match(report, /- ok Memory: 8 GB\n- NOT OK Models: none in ~\/\.cache\/models\n/);
  assert.match(report, /- repowave\.model: "~\/m\.gguf"\n- repowave\.exclude: \["\*\.snap"\]\n/);
  assert.match(report, /- 2026-01-01 ~\/work is empty\.\n/);
  assert.doesNotMatch(report, /ada/);
});

test('where the backend cannot be asked the diagnostics say why', () => {
  const report = diagnosticsReport(
    { ...facts, checks: 'No backend.', settings: {}, errors: [] },
    '/home/ada',
  );
  assert.match(report, /### Checks\n\n- No backend\.\n/);
  assert.match(report, /defaults\n\n- none\n/);
});

test('a home folder is found in addresses and in JSON, and a root folder is none', () => {
  assert.equal(redact('file:///home/ada%20l/x', '/home/ada l'), 'file://~/x');
  assert.equal(redact('"C:\\\\Users\\\\ada\\\\x" C:/Users/ada', 'C:\\Users\\ada'), '"~\\\\x" ~');
  assert.equal(redact('/a/b', '/'), '/a/b');
});

test('settings count as changed when their value is not the default one', () => {
  const values: Record<string, unknown> = { a: 1, b: [], c: ['x'] };
  const defaults: Record<string, unknown> = { a: 0, b: [], c: [] };
  const changed = changedSettings(
    ['a', 'b', 'c'],
    (name) => values[name],
    (name) => ({ defaultValue: defaults[name] }),
  );
  assert.deepEqual(changed, { a: 1, c: ['x'] });
});
