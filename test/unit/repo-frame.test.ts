import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chooseWarmup } from '../../backend/repo/frame.ts';
import { evenTokenizer } from './repo-helpers.ts';

const tokenize = evenTokenizer(4);
const CODE = 'export const value = compute(1, 2);\n';

async function warmup(
  files: Record<string, string>,
  limit?: number,
): Promise<{ text: string; paths: string[]; tokens: number }> {
  const list = Object.keys(files)
    .sort()
    .map((path) => ({ path, bytes: Buffer.byteLength(files[path]!) }));
  const { text, paths } = await chooseWarmup(list, (path) => Promise.resolve(files[path]!), tokenize, limit);
  const headers = [...text.matchAll(/^\/\/ file: (.*)$/gm)].map(([, path]) => path!);
  assert.deepEqual(paths, headers);
  return { text, paths, tokens: (await tokenize(text)).tokens.length };
}

test('the first two ordinary code files give about 1,000 tokens between them, cut at line ends', async () => {
  const big = CODE.repeat(200);
  const { text, paths, tokens } = await warmup({
    'README.md': 'words\n'.repeat(500),
    'a.config.js': big,
    'src/__tests__/a.ts': big,
    'src/a.test.ts': big,
    'src/a.ts': big,
    'src/b.ts': big,
    'src/c.ts': big,
    'src/aa-tiny.ts': CODE,
    'test/b.ts': big,
    'types.d.ts': big,
  });
  assert.deepEqual(paths, ['src/a.ts', 'src/b.ts']);
  assert.ok(tokens > 900 && tokens <= 1_000, `${tokens} tokens`);
  for (const part of text.split(/\/\/ file: .*\n/).slice(1)) assert.match(part, /^(?:export.*\n)+\n+$/);
});

test('a model with a small window gets a shorter warm-up', async () => {
  const { tokens } = await warmup({ 'a.ts': CODE.repeat(200), 'b.ts': CODE.repeat(200) }, 256);
  assert.ok(tokens > 200 && tokens <= 256, `${tokens} tokens`);
});

test('shorter files are filled up with further ones', async () => {
  const { paths, tokens } = await warmup({
    'a.py': CODE.repeat(45),
    'b.py': CODE.repeat(45),
    'c.py': CODE.repeat(90),
  });
  assert.deepEqual(paths, ['a.py', 'b.py', 'c.py'].slice(0, paths.length));
  assert.ok(tokens > 900 && tokens <= 1_000, `${tokens} tokens`);
});

test('where there are only tests or tiny files they serve, and any text where there is no code', async () => {
  assert.deepEqual((await warmup({ 'test/a.ts': CODE, 'notes.md': 'words\n' })).paths, ['test/a.ts']);
  assert.deepEqual((await warmup({ 'notes.md': 'words\n' })).paths, ['notes.md']);
});

test('no files and nothing but one endless line give no warm-up', async () => {
  assert.equal((await warmup({})).text, '');
  assert.equal((await warmup({ 'a.ts': 'x'.repeat(9_000) })).text, '');
});
