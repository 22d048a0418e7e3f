import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { UserError } from '../../backend/errors.ts';
import { scan } from '../../backend/repo/scan.ts';
import { tree, write } from './repo-helpers.ts';

async function scanned(root: string) {
  const { files, excluded, ...rest } = await scan({ root });
  return { ...rest, files: files.map(({ path }) => path), excluded };
}

test('the rules of a repository leave out, bring back and pin, over all ignore files', async (t) => {
  const root = tree(t, {
    '.gitignore': 'dist/\n*.log\n',
    '.repowave.json': `{
      // the team's decisions
      "out": ["tests/", "*.md"],
      "in": ["/dist/", "README.md"],
      "pinned": ["/src/"],
      "tokens": 5000,
      "else": 1,
    }`,
    'README.md': 'a\n',
    'CHANGES.md': 'a\n',
    'dist/a.js': 'a\n',
    'dist/b.log': 'a\n',
    'src/a.ts': 'a\n',
    'tests/a.ts': 'a\n',
  });
  const { files, excluded, pinned, tokens } = await scanned(root);
  assert.deepEqual(files, ['.gitignore', 'README.md', 'dist/a.js', 'src/a.ts']);
  assert.deepEqual(pinned, ['src/a.ts']);
  assert.equal(tokens, 5000);
  const ours = { reason: 'left out by .repowave.json', ignored: true };
  assert.deepEqual(excluded, [
    { file: '.repowave.json', reason: "RepoWave's own rules" },
    { file: 'CHANGES.md', ...ours },
    { file: 'dist/b.log', reason: 'ignored by .gitignore', ignored: true },
    { file: 'tests/', ...ours },
  ]);
});

test('rules that cannot be understood are told and never passed over', async (t) => {
  const root = tree(t, { 'a.ts': 'a\n' });
  const refused = async (text: string, reason: RegExp) => {
    write(root, { '.repowave.json': text });
    await assert.rejects(scan({ root }), (error: unknown) => {
      assert.ok(error instanceof UserError);
      assert.equal(error.code, 'usage');
      assert.match(error.message, reason);
      return true;
    });
  };
  await refused(
    '{\n  "out": [,]\n',
    /\.repowave\.json cannot be understood \(line 2: ValueExpected\): correct/,
  );
  await refused('{"out": "tests/"}', /\(out: /);
  await refused('{"tokens": 5}', /\(tokens: /);
  await refused('[]', /\(the whole: /);
  rmSync(join(root, '.repowave.json'));
  assert.deepEqual((await scanned(root)).files, ['a.ts']);
});
