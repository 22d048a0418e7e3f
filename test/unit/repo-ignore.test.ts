import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { walk } from '../../backend/repo/walk.ts';
import { seeded, tree, write } from './repo-helpers.ts';

// What this machine's user ignores must not reach the tests.
process.env.GIT_CONFIG_GLOBAL = '/dev/null';
process.env.GIT_CONFIG_NOSYSTEM = '1';
process.env.XDG_CONFIG_HOME = '/dev/null';

const git = (cwd: string, ...args: string[]) =>
  execFileSync('git', args, { cwd, encoding: 'utf8', stdio: 'pipe' });

async function kept(root: string, options = {}): Promise<string[]> {
  return (await walk({ root, ...options })).files
    .filter((file) => !/\.(?:git|repowave)\w+$/.test(file))
    .sort();
}

async function reasons(root: string): Promise<Record<string, string>> {
  return Object.fromEntries((await walk({ root })).excluded.map(({ file, reason }) => [file, reason]));
}

test('nested .gitignore files, the excludes of clone and user decide as git does', async (t) => {
  const patterns = [
    '*.log', 'x.js', '/x.js', 'a/', 'b', '!x.js', '!*.log', 'a/b', '/a/*', '!a/b/', '**/c', 'c/**', 'a/**/x.js',
    '# note', 'sp ace', '[xy].js', '\\!bang', 'b/*.log', '!/b', 'trail  ',
  ]; // prettier-ignore
  const random = seeded(7);
  const some = () => Array.from({ length: random(4) }, () => patterns[random(patterns.length)]).join('\n');
  const folders = ['', 'a/', 'b/', 'a/b/', 'a/c/', 'b/a/', 'a/b/c/'];
  for (let round = 0; round < 60; round++) {
    const root = tree(t);
    for (const folder of folders)
      for (const name of ['x.js', 'y.js', 'z.log', 'sp ace', '!bang', 'c'].filter(() => random(3) > 0))
        if (!(name === 'c' && folders.includes(`${folder}c/`))) write(root, { [folder + name]: 'text' });
    for (const folder of folders) if (random(2)) write(root, { [`${folder}.gitignore`]: some() });
    git(root, 'init', '-q');
    write(root, { '.git/info/exclude': some(), '.git/global': some() });
    git(root, 'config', 'core.excludesFile', join(root, '.git', 'global'));

    const listed = git(root, 'ls-files', '-z', '-co', '--exclude-standard').split('\0');
    const expected = listed.filter((file) => file && !file.endsWith('.gitignore')).sort();
    assert.deepEqual(await kept(root), expected, `round ${round}`);
  }
});

test('.repowaveignore leaves out what git keeps and brings back what git ignores', async (t) => {
  const root = tree(t, {
    '.gitignore': 'build/\n*.log\n',
    '.repowaveignore': '!build/\ndocs/\n',
    'build/out.js': '1',
    'build/noise.log': '1',
    'build/deep/more.js': '1',
    'docs/a.md': '1',
    'src/a.ts': '1',
  });
  assert.deepEqual(await kept(root), ['build/deep/more.js', 'build/out.js', 'src/a.ts']);
  const found = await reasons(root);
  assert.equal(found['docs/'], 'ignored by .repowaveignore');
  assert.equal(found['build/noise.log'], 'ignored by .gitignore');
});

test('the folders above the root have their say, unless the root itself is ignored there', async (t) => {
  const top = tree(t, {
    '.gitignore': '*.log\n/packages/a/out/\nignored/\n',
    'packages/.gitignore': '*.tmp\n',
    'packages/a/x.ts': '1',
    'packages/a/x.log': '1',
    'packages/a/x.tmp': '1',
    'packages/a/out/y.ts': '1',
    'ignored/z.ts': '1',
    'ignored/z.log': '1',
  });
  mkdirSync(join(top, '.git'));
  assert.deepEqual(await kept(join(top, 'packages', 'a')), ['x.ts']);
  assert.deepEqual(await kept(join(top, 'ignored')), ['z.ts']);
});

test('a linked working tree obeys the excludes of its repository, and is left out of a scan around it', async (t) => {
  const root = tree(t, { 'a.ts': '1' });
  git(root, 'init', '-q');
  git(root, 'add', '.');
  git(root, '-c', 'user.name=a', '-c', 'user.email=a@b', 'commit', '-qm', 'a');
  git(root, 'worktree', 'add', '-q', 'tree');
  write(root, { '.git/info/exclude': '*.tmp\n', 'tree/b.tmp': '1' });
  assert.deepEqual(await kept(join(root, 'tree')), ['a.ts']);
  assert.deepEqual(await kept(root), ['a.ts']);
  assert.equal((await reasons(root))['tree/'], 'another working tree of a repository');
});

test('a checked-out submodule and a nested clone are part of what is read, without their .git', async (t) => {
  const root = tree(t, {
    'lib/.git': 'gitdir: ../.git/modules/lib\n',
    'lib/a.c': '1',
    'clone/.git/HEAD': 'ref: refs/heads/main\n',
    'clone/.gitignore': 'out\n',
    'clone/b.c': '1',
    'clone/out': '1',
  });
  assert.deepEqual(await kept(root), ['clone/b.c', 'lib/a.c']);
});

test('installed packages are left out even without a .gitignore, and can be brought back', async (t) => {
  const root = tree(t, { 'node_modules/p/i.js': '1', 'a.js': '1' });
  assert.deepEqual(await kept(root), ['a.js']);
  assert.equal((await reasons(root))['node_modules/'], 'installed packages or caches');
  write(root, { '.repowaveignore': '!node_modules/\n' });
  assert.deepEqual(await kept(root), ['a.js', 'node_modules/p/i.js']);
});

test('include and exclude patterns narrow the choice', async (t: TestContext) => {
  const root = tree(t, {
    'src/a.ts': '1',
    'src/b.test.ts': '1',
    'src/c.md': '1',
    'web/d.ts': '1',
    'e.ts': '1',
  });
  assert.deepEqual(await kept(root, { include: ['src/'] }), ['src/a.ts', 'src/b.test.ts', 'src/c.md']);
  assert.deepEqual(await kept(root, { include: ['*.ts'], exclude: ['*.test.ts', '/web'] }), [
    'e.ts',
    'src/a.ts',
  ]);
  assert.deepEqual(await kept(root, { exclude: ['*.ts', '!e.ts'] }), ['e.ts', 'src/c.md']);
});

test('.gitattributes marks generated files, a deeper one overrules it', async (t) => {
  const root = tree(t, {
    '.gitattributes': '# note\ngen/** linguist-generated=true\n"a b.ts" text linguist-generated\n*.ts text\n',
    'gen/keep/.gitattributes': '*.ts -linguist-generated\n',
    'gen/a.ts': '1',
    'gen/keep/b.ts': '1',
    'a b.ts': '1',
    'c.ts': '1',
  });
  assert.deepEqual(await kept(root), ['c.ts', 'gen/keep/b.ts']);
  assert.equal((await reasons(root))['gen/a.ts'], 'generated: marked in .gitattributes');
});
