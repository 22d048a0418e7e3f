import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { UserError } from '../../backend/errors.ts';
import { plant, questionTypes, readQuestions, writeCorpus, type Corpus } from '../eval/corpus.ts';
import { describe } from '../eval/describe.ts';
import { languageOf } from '../eval/languages.ts';
import { tree } from './repo-helpers.ts';

const sentence = (i: number) =>
  `Counts the passing ${['cars', 'boats', 'birds', 'trains'][i % 4]} of weekday ${i} and writes them down.`;
const body = (i: number, line: (n: number) => string) =>
  Array.from({ length: 60 }, (_, n) => line(n * 100 + i)).join('\n');

/** A file of some 2,500 bytes with one long function and a comment. */
const sources: Record<string, (i: number) => string> = {
  ts: (i) =>
    `import { a } from './a';\n\nconst b = a;\n\n/**\n * ${sentence(i)}\n * @param x more\n */\nexport function count${i}(x: number) {\n${body(i, (n) => `  const local${n} = x + a * ${n} - b;`)}\n  return x;\n}\n\nexport const last = 1;\n`,
  py: (i) =>
    `import a\n\nb = a\n\n\ndef count${i}(x):\n    """${sentence(i)}\n\n    More.\n    """\n${body(i, (n) => `    local${n} = x + a.value * ${n} - b.value`)}\n    return x\n\n\nlast = 1\n`,
  go: (i) =>
    `package a\n\nimport "fmt"\n\nfunc count${i}(x int) int {\n${body(i, (n) => `\tlocal${n} := x + a.Value * ${n} - b.Value`)}\n\treturn x\n}\n\nvar last = 1\n`,
  rs: (i) =>
    `use a::b;\n\nuse c;\n\npub fn count${i}(x: u32) -> u32 {\n${body(i, (n) => `    let local${n} = x + a.value * ${n} - b.value;`)}\n    x\n}\n\nstatic LAST: u32 = 1;\n`,
  c: (i) =>
    `#include "a.h"\n\nstatic int b;\n\n/**\n * ${sentence(i)}\n */\nint count${i}(int x) {\n${body(i, (n) => `  int local${n} = x + a.value * ${n} - b;`)}\n  return x;\n}\n\nint last = 1;\n`,
  java: (i) =>
    `package a;\n\nimport b.C;\n\n/**\n * ${sentence(i)}\n */\nclass Counter${i} {\n\n    public static int count${i}(int x) {\n${body(i, (n) => `        int local${n} = x + a.value * ${n} - b.value;`)}\n        return x;\n    }\n\n    int last = 1;\n}\n`,
};

function repository(ending: string): Record<string, string> {
  const make = sources[ending]!;
  return Object.fromEntries(Array.from({ length: 8 }, (_, i) => [`src/part${i}.${ending}`, make(i)]));
}

const ofType = ({ questions }: Corpus, type: string) =>
  questions.filter((question) => question.type === type);

for (const ending of Object.keys(sources)) {
  test(`a planted ${ending} tree holds the answer of every question, in the file that the question is about`, async (t) => {
    const corpus = await plant({ repo: tree(t, repository(ending)), seed: 3, tokens: 6_000 });

    assert.ok(corpus.files.size >= 4);
    for (const type of questionTypes) {
      const documented = languageOf(`a.${ending}`)?.docs !== undefined;
      if (type !== 'T5' || documented) assert.ok(ofType(corpus, type).length > 0, type);
    }
    for (const { type, question, answerPrefix, gold, paths } of corpus.questions) {
      const texts = paths.map((name) => corpus.files.get(name)!);
      assert.ok(gold.length > 0);
      if (type === 'T3' || type === 'T5') assert.equal(gold, paths[0]);
      else
        assert.ok(
          texts.some((text) => text.includes(gold)),
          question,
        );
      if (type === 'T2') assert.ok(texts[0]!.includes(answerPrefix + gold));
      if (type === 'T4')
        assert.ok(texts[0]!.includes(answerPrefix.slice(answerPrefix.indexOf('\n') + 1) + gold));
      if (type === 'T7' || type === 'T8') assert.equal(new Set(paths).size, 2);
    }
  });
}

test('the same tree, seed and size give the same corpus, and another seed another one', async (t) => {
  const repo = tree(t, repository('ts'));
  const [a, b, c] = await Promise.all([1, 1, 2].map((seed) => plant({ repo, seed, tokens: 5_000 })));

  assert.deepEqual(a, b);
  assert.notDeepEqual([...a!.files.values()], [...c!.files.values()]);
});

test('a constant has its value in one file, and the one that is set to another one does not tell the value', async (t) => {
  const corpus = await plant({ repo: tree(t, repository('ts')), seed: 1, tokens: 6_000 });
  const all = [...corpus.files.values()].join('\n');

  for (const { question, gold, paths } of ofType(corpus, 'T1')) {
    const name = /MAGIC_\w+/.exec(question)![0];
    assert.equal(all.split(`const ${name} = ${gold};`).length, 2);
    assert.ok(corpus.files.get(paths[0]!)!.includes(name));
  }
  for (const { question, answerPrefix, gold, paths } of ofType(corpus, 'T8')) {
    const name = /MAGIC_\w+/.exec(question)![0];
    const [from, to] = paths.map((file) => corpus.files.get(file)!);
    const other = new RegExp(`const ${name} = (MAGIC_\\w+);`).exec(from!)![1]!;
    assert.ok(to!.includes(`const ${other} = ${gold};`));
    assert.ok(!from!.includes(gold) && !answerPrefix.includes(other));
  }
});

test('the description that a question gives is in no file any more', async (t) => {
  const corpus = await plant({ repo: tree(t, repository('py')), seed: 1, tokens: 6_000 });
  const all = [...corpus.files.values()].join('\n');

  const asked = ofType(corpus, 'T5');
  assert.match(
    asked[0]!.question,
    /^Which file holds the code for this: Counts the passing \w+ of weekday \d/,
  );
  for (const { question } of asked) {
    const [, words] = /this: (.*)\?$/.exec(question)!;
    assert.ok(!all.includes(words!));
  }
});

test('a function to copy is defined once in the corpus and ends with its own code', async (t) => {
  const files = repository('ts');
  files['src/part1.ts'] = files['src/part0.ts']!.replace('last', 'first');
  const corpus = await plant({ repo: tree(t, files), seed: 1, tokens: 6_000 });

  assert.ok(ofType(corpus, 'T4').every(({ question }) => !question.includes('`count0`')));
  assert.ok(ofType(corpus, 'T4').every(({ gold }) => !gold.includes('last') && !/MAGIC|svc-/.test(gold)));
});

test('a tree without enough source files of the right size is refused in words', async (t) => {
  const repo = tree(t, {
    'a.ts': sources.ts!(1),
    'b.ts': 'const tiny = 1;\n',
    'c.md': '# Text\n'.repeat(500),
  });
  await assert.rejects(plant({ repo, seed: 1, tokens: 5_000 }), (error: UserError) => {
    assert.equal(error.code, 'usage');
    assert.match(error.message, /too few source files/);
    return true;
  });
});

test('a corpus is read back as it was written, and written anew over itself but not over anything else', async (t) => {
  const corpus = await plant({ repo: tree(t, repository('ts')), seed: 1, tokens: 5_000 });
  const folder = tree(t);
  await writeCorpus(folder, corpus);
  await writeCorpus(folder, corpus);
  assert.deepEqual(await readQuestions(folder), corpus.questions);

  const foreign = tree(t);
  mkdirSync(path.join(foreign, 'tree'));
  writeFileSync(path.join(foreign, 'tree', 'mine.ts'), '');
  await assert.rejects(writeCorpus(foreign, corpus), /is no planted tree/);
  await assert.rejects(readQuestions(foreign), /holds no planted corpus/);
});

test('a description is the first sentence, without names, and nothing that only code would say', () => {
  const long = 'Converts the incoming chunks into whole lines before they are shown. Not this.';
  assert.equal(
    describe(`\n * ${long}\n * @param x y`),
    'Converts the incoming chunks into whole lines before they are shown',
  );
  assert.equal(
    describe('Waits for the `open` event of each connection and then sends what was queued (see below).'),
    'Waits for the event of each connection and then sends what was queued',
  );
  for (const none of [
    'Too short.',
    'Calls readFile on each of the paths and gives back all of the texts.',
    'Joins `a` and `b` with the separator that was given at the very start.',
    '@deprecated Use the other one instead, which does the same thing much faster.',
    'Checks that the stored hash matches the password that was generated by',
    '',
  ])
    assert.equal(describe(none), undefined, none);
});
