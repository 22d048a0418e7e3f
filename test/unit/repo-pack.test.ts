import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pack, type PackLimits } from '../../backend/repo/pack.ts';
import { piecesOf, type Segment, type Tokenize } from '../../backend/repo/segment.ts';
import { evenTokenizer, randomTokenizer, seeded } from './repo-helpers.ts';

const LIMITS: PackLimits = { longest: 400, small: 60, group: 200, sequential: 500, total: 1e6 };

function packed(files: Record<string, string>, tokenize: Tokenize, limits = LIMITS): Promise<Segment[]> {
  const paths = Object.keys(files).sort();
  return pack(
    paths.map((path) => ({ path })),
    { readText: (path) => Promise.resolve(files[path]!), tokenize, limits },
  );
}

/** What the segments say that the files hold: pieces in the order of segments, with their first lines. */
function unpacked(segments: Segment[]): Record<string, string> {
  const files: Record<string, string> = {};
  for (const { path, startLine, content } of segments.flatMap(piecesOf)) {
    const before = files[path] ?? '';
    assert.equal(startLine, before.split('\n').length, `first line of a part of ${path}`);
    files[path] = before + content;
  }
  return files;
}

function randomFiles(seed: number): Record<string, string> {
  const random = seeded(seed);
  const words = [
    'function ',
    'x',
    '  ',
    '}\n',
    '\n',
    '\n\n',
    'é',
    '€',
    '😀',
    'return 1;\n',
    '\t',
    'longer_identifier',
    '    if',
  ];
  const files: Record<string, string> = {};
  for (let count = 1 + random(12); count > 0; count--) {
    const folder = ['', 'a/', 'a/b/', 'c/'][random(4)]!;
    const length = [5, 40, 400, 1500][random(4)]!;
    const word = () => words[random(words.length)]!;
    const line = random(5) === 0 ? 'z€'.repeat(random(3000)) : '';
    files[`${folder}f${count}.ts`] = `${line}${Array.from({ length }, word).join('')}`;
  }
  return files;
}

test('the sources give back every file exactly once, and no segment is too long', async () => {
  for (let seed = 1; seed <= 60; seed++) {
    const files = randomFiles(seed);
    for (const tokenize of [randomTokenizer(6), evenTokenizer(3)]) {
      const segments = await packed(files, tokenize);
      assert.deepEqual(unpacked(segments), Object.fromEntries(Object.entries(files).sort()), `seed ${seed}`);
      const limit = segments.length === 1 ? LIMITS.sequential : LIMITS.longest;
      for (const { tokens, ends, text, sources } of segments) {
        assert.ok(tokens.length <= limit, `seed ${seed}: ${tokens.length} tokens`);
        assert.equal(ends.at(-1), Buffer.byteLength(text));
        for (const { path, header, start } of sources)
          assert.equal(Buffer.from(text).toString('utf8', header, start), `// file: ${path}\n`);
      }
    }
  }
});

test('a small repository is one segment in path order, behind the list of its files', async () => {
  const [segment, ...rest] = await packed({ 'b.ts': 'let b;\n', 'a/c.ts': 'let c;\n' }, evenTokenizer(3));
  assert.equal(rest.length, 0);
  assert.equal(
    segment!.text,
    '// files of the repository\na/c.ts\nb.ts\n\n// file: a/c.ts\nlet c;\n\n\n// file: b.ts\nlet b;\n\n\n',
  );
});

test('small files of one folder share a segment, others stay alone, the list comes first', async () => {
  const middle = 'let x;\n'.repeat(60);
  const files = {
    'a/1.ts': 'one\n',
    'a/2.ts': middle,
    'a/3.ts': 'three\n',
    'a/b/4.ts': 'four\n',
    'z.ts': middle,
  };
  const segments = await packed(files, evenTokenizer(3), { ...LIMITS, sequential: 0 });
  assert.deepEqual(
    segments.map(({ sources }) => sources.map(({ path }) => path)),
    [[], ['a/1.ts', 'a/3.ts'], ['a/2.ts'], ['a/b/4.ts'], ['z.ts']],
  );
});

test('a group of small files ends where it would get too long', async () => {
  const files = Object.fromEntries(
    Array.from({ length: 12 }, (_, index) => [`a/${10 + index}.ts`, 'x'.repeat(130)]),
  );
  const segments = await packed(files, evenTokenizer(3), { ...LIMITS, sequential: 0 });
  const groups = segments.slice(1);
  for (const { tokens } of groups) assert.ok(tokens.length <= 200);
  for (const { sources } of groups.slice(0, -1)) assert.ok(sources.length >= 3, `${sources.length} files`);
});

test('a change in a folder of many small files changes its group and at most two others', async () => {
  const limits = { ...LIMITS, sequential: 0 };
  const names = Array.from({ length: 200 }, (_, index) => `a/${1000 + index}.ts`);
  const files = Object.fromEntries(names.map((name, index) => [name, 'x'.repeat(90 + (index % 40))]));
  const texts = async (changed: Record<string, string>) =>
    (await packed(changed, evenTokenizer(3), limits))
      .filter(({ sources }) => sources.length)
      .map(({ text }) => text);
  const before = new Set(await texts(files));
  const { [names[0]!]: first, ...without } = files;
  for (const changed of [
    { ...files, 'a/0.ts': 'new\n' },
    without,
    { ...without, 'a/1100b.ts': first! },
    { ...files, 'a/1050.ts': 'edited\n' },
  ]) {
    const fresh = (await texts(changed)).filter((text) => !before.has(text));
    assert.ok(fresh.length <= 3 && before.size > 40, `${fresh.length} of ${before.size}`);
  }
});

test('files beyond the limit of all tokens are in no segment and not in the list', async () => {
  const files = Object.fromEntries(['a', 'b', 'c', 'd'].map((name) => [`${name}.ts`, 'x'.repeat(900)]));
  const segments = await packed(files, evenTokenizer(3), { ...LIMITS, sequential: 0, total: 700 });
  assert.deepEqual(
    [...new Set(segments.flatMap(({ sources }) => sources.map(({ path }) => path)))],
    ['a.ts', 'b.ts'],
  );
  assert.equal(segments[0]?.text, '// files of the repository\na.ts\nb.ts\n\n');
});

test('a group that comes out longer than its files alone is halved', async () => {
  const files = Object.fromEntries(
    Array.from({ length: 4 }, (_, index) => [`a/${index}.ts`, 'x'.repeat(130)]),
  );
  // Dearer where more than two files meet.
  const tokenize: Tokenize = (text) => evenTokenizer(text.split('// file: ').length > 3 ? 1 : 3)(text);
  const segments = await packed(files, tokenize, { ...LIMITS, sequential: 0 });
  const sizes = segments.slice(1).map(({ sources }) => sources.length);
  assert.deepEqual(sizes, [2, 2]);
});

test('a long file is split before declarations', async () => {
  const body = '  statement();\n'.repeat(20);
  const file = Array.from(
    { length: 12 },
    (_, index) => `/** Doc. */\nfunction f${index}() {\n${body}}\n`,
  ).join('\n');
  const segments = await packed({ 'a.ts': file }, evenTokenizer(3));
  const parts = segments.slice(1);
  assert.ok(parts.length > 3);
  for (const part of parts) assert.match(piecesOf(part)[0]!.content, /^\/\*\* Doc\. \*\/\nfunction/);
});

test('a long file without declarations is split at its least indented lines', async () => {
  const file = `class A {\n${`  m() {\n${'    x();\n'.repeat(10)}  }\n`.repeat(30)}}\n`;
  const segments = await packed({ 'a.ts': file }, evenTokenizer(3));
  for (const part of segments.slice(2)) assert.match(piecesOf(part)[0]!.content, /^ {2}m\(\)/);
});

test('a new file leaves the segments of other folders alone', async () => {
  const limits = { ...LIMITS, sequential: 0 };
  const texts = async (files: Record<string, string>) =>
    (await packed(files, randomTokenizer(6), limits))
      .filter(({ sources }) => sources.length)
      .map(({ text }) => text);
  for (let seed = 1; seed <= 20; seed++) {
    const files = randomFiles(seed);
    const before = (await texts(files)).filter((text) => !/^\/\/ file: a\/[^/\n]*$/m.test(text));
    const after = new Set(await texts({ ...files, 'a/new.ts': 'new\n' }));
    for (const text of before) assert.ok(after.has(text), `seed ${seed}`);
  }
});

test('a long list of files is split, and a new file changes only the part that it is in', async () => {
  const names = (count: number) =>
    Array.from({ length: count }, (_, index) => `folder/file-${1000 + index}.ts`);
  const lists = async (paths: string[]) =>
    (await packed(Object.fromEntries(paths.map((path) => [path, 'x\n'])), evenTokenizer(3)))
      .filter(({ sources }) => !sources.length)
      .map(({ text }) => text);
  const before = await lists(names(600));
  const after = await lists([...names(600), 'folder/file-1299b.ts']);
  assert.ok(before.length > 10);
  for (const text of before) assert.match(text, /^\/\/ files of the repository\nfolder\/file-/);
  assert.deepEqual(
    before.join('').match(/folder.*\n/g),
    names(600).map((name) => `${name}\n`),
  );
  assert.ok(before.filter((text) => !after.includes(text)).length <= before.length / 3);
});

test('a name with a line break cannot break the header', async () => {
  const [segment] = await packed({ 'a\nb.ts': 'x\n' }, evenTokenizer(3));
  assert.match(segment!.text, /^\/\/ file: "a\\nb\.ts"\nx\n/m);
});

test('no files give no segments', async () => {
  assert.deepEqual(await packed({}, evenTokenizer(3)), []);
});
