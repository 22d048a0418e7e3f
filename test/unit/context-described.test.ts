import assert from 'node:assert/strict';
import test from 'node:test';
import { packFiles, type Description } from '../../backend/context/described.ts';
import type { PackTools } from '../../backend/repo/pack.ts';
import { randomTokenizer, seeded } from './repo-helpers.ts';

const limits = { longest: 400, small: 60, group: 200, sequential: 300, total: 20_000 };

/** A tree in memory; the hash of a file is its text. */
class Tree {
  readonly texts = new Map<string, string>();
  /** Files that were read since it was asked last. */
  #read: string[] = [];

  get files() {
    return [...this.texts].map(([path, hash]) => ({ path, hash })).sort((a, b) => (a.path < b.path ? -1 : 1));
  }

  read(): string[] {
    return this.#read.splice(0).sort();
  }

  async describe(before?: Description): Promise<Description> {
    const tools: PackTools = {
      readText: (path) => {
        this.#read.push(path);
        return Promise.resolve(this.texts.get(path)!);
      },
      tokenize: randomTokenizer(6),
      limits,
    };
    const saved = before && {
      manifest: {
        ...{ root: '', model: '', frame: { hash: '', tokens: 0 } },
        segments: before.segments.map(({ stored }) => stored),
      },
      details: { ...before, packing: '', segments: before.segments.map(({ details }) => details) },
    };
    return packFiles(this.files, tools, saved, (text) => text);
  }
}

/** Big files that are split, ordinary ones, and small ones that share a segment; they import one another. */
function grow(tree: Tree, random: (bound: number) => number): void {
  const path = `${'abc'[random(3)]}/${random(12)}.ts`;
  if (random(6) === 0) return void tree.texts.delete(path);
  const lines = [1, 1, 5, 20, 200][random(5)]!;
  const line = () => `const value${random(100)} = ${random(1000)};\n`;
  const imported = `import './${random(12)}';\n`;
  tree.texts.set(path, imported + Array.from({ length: lines }, line).join(''));
}

test('with what an earlier packing has made, a packing comes out as without', async () => {
  for (let seed = 1; seed <= 6; seed++) {
    const random = seeded(seed);
    const tree = new Tree();
    for (let file = 0; file < 30; file++) grow(tree, random);
    let before = await tree.describe();
    for (let step = 0; step < 12; step++) {
      for (let edit = random(4); edit >= 0; edit--) grow(tree, random);
      const after = await tree.describe(before);
      assert.deepEqual(after, await tree.describe(), `seed ${seed}, step ${step}`);
      before = after;
    }
  }
});

test('an edit reads its own file, and those that share a segment with it', async () => {
  const tree = new Tree();
  for (const name of ['a/1', 'a/2', 'b/1', 'b/2', 'b/3'])
    tree.texts.set(`${name}.ts`, `let ${name.at(-1)};\n`);
  tree.texts.set('c/1.ts', 'const long = 1;\n'.repeat(300));
  tree.texts.set('c/2.ts', 'const longer = 1;\n'.repeat(400));
  const before = await tree.describe();
  assert.equal(tree.read().length, 7);
  tree.texts.set('c/1.ts', 'const long = 2;\n'.repeat(300));
  const edited = await tree.describe(before);
  assert.deepEqual(tree.read(), ['c/1.ts']);
  tree.texts.set('a/1.ts', 'let edited;\n');
  await tree.describe(edited);
  assert.deepEqual(tree.read(), ['a/1.ts', 'a/2.ts']);
});

test('files that were one segment with the list of all are packed anew when there are more', async () => {
  const tree = new Tree();
  for (const name of ['a/1', 'a/2']) tree.texts.set(`${name}.ts`, `import './${name.at(-1)}';\n`);
  const before = await tree.describe();
  assert.equal(before.segments.length, 1);
  tree.texts.set('b/1.ts', 'const long = 1;\n'.repeat(300));
  assert.deepEqual(await tree.describe(before), await tree.describe());
});
