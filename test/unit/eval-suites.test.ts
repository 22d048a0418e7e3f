import assert from 'node:assert/strict';
import path from 'node:path';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import {
  applyEdits,
  needleTypes,
  readQuestions,
  rulerTypes,
  writeCorpus,
  type Corpus,
} from '../eval/corpus.ts';
import { bySimilarity } from '../eval/embedder.ts';
import { needles } from '../eval/needles.ts';
import { fidelityTable, type Outcome } from '../eval/outcomes.ts';
import { piecesOf } from '../eval/pieces.ts';
import { repository } from '../eval/repository.ts';
import { ruler } from '../eval/ruler.ts';
import { scoreText } from '../eval/score.ts';
import { factsOf } from '../eval/syntax.ts';
import { parseVariants } from '../eval/variants.ts';
import { tree } from './repo-helpers.ts';

const filler = (i: number) =>
  Array.from(
    { length: 30 },
    (_, n) => `export function part${i}_${n}(x: number) {\n  return x + ${n * i};\n}\n`,
  ).join('\n');
const haystack = Object.fromEntries(Array.from({ length: 12 }, (_, i) => [`src/part${i}.ts`, filler(i)]));
const ofType = ({ questions }: Corpus, type: string) =>
  questions.filter((question) => question.type === type);

test('a free answer is right when it holds all parts, and wrong when it is empty, is another or misses one', () => {
  const question = { gold: '4711', golds: ['4711', 'Falcon'] };
  assert.equal(scoreText('It is falcon, and 4711.', question).exact, true);
  assert.equal(scoreText('It is 4711.', question).exact, false);
  assert.equal(scoreText('It is 4712.', { gold: '4711' }).exact, false);
  for (const empty of [question, { gold: '4711' }, { gold: '' }, { gold: '', golds: [] }])
    assert.equal(scoreText('', empty).exact, false);
});

test('needles lie at ten depths, each once, and the questions about twins have three wrong answers at hand', async (t) => {
  const corpus = await needles({ repo: tree(t, haystack), seed: 1, tokens: 8_000 });
  const files = [...corpus.files.keys()].sort();
  const all = [...corpus.files.values()].join('\n');

  for (const type of needleTypes) {
    const asked = ofType(corpus, type);
    assert.equal(new Set(asked.map(({ id }) => id)).size, 10);
    const places = asked.map(({ paths }) => files.indexOf(paths[0]!));
    assert.deepEqual(
      places,
      [...places].sort((a, b) => a - b),
    );
    assert.ok(places.at(-1)! > places[0]! + files.length / 2);
    for (const { gold, paths } of asked) {
      assert.ok(corpus.files.get(paths[0]!)!.includes(gold));
      assert.equal(all.split(gold).length, 2);
    }
  }
  for (const { answerPrefix } of ofType(corpus, 'twin'))
    for (const letter of ['a', 'b', 'd'])
      assert.ok(all.includes(answerPrefix.replace(/-c", "$/, `-${letter}", "`)));
});

test('the tasks after RULER hide what they ask for, and other seeds hide other things', async (t) => {
  const repo = tree(t, haystack);
  const [corpus, again, other] = await Promise.all(
    [1, 1, 2].map((seed) => ruler({ repo, seed, tokens: 8_000 })),
  );
  const all = [...corpus!.files.values()].join('\n');

  assert.deepEqual(corpus, again);
  assert.notDeepEqual(corpus!.questions, other!.questions);
  for (const type of rulerTypes) assert.ok(ofType(corpus!, type).length > 0, type);
  for (const { golds, paths, question, answerPrefix } of corpus!.questions) {
    assert.ok(golds!.length > 0 && golds!.every((gold) => all.includes(gold)));
    assert.ok(golds!.every((gold) => !question.includes(gold) && !answerPrefix.includes(gold)));
    assert.ok(paths.every((path) => corpus!.files.has(path)));
  }
  const [common] = ofType(corpus!, 'cwe');
  const list = corpus!.files.get('notes/list.txt')!.split(/[\d. \n]+/);
  for (const gold of common!.golds!) assert.equal(list.filter((word) => word === gold).length, 30);
});

const sources = {
  'lib/store.ts': `export const STORE_LIMIT = 4096;\n\nexport function openStore(name: string) {\n  return checkName(name).length + STORE_LIMIT;\n}\n`,
  'lib/check.ts': `import { openStore } from './store';\nexport const MOST_NAMES = 12;\n\nexport function checkName(name: string) {\n${'  name = name.trim().toLowerCase();\n'.repeat(12)}  return name;\n}\nexport { openStore };\n`,
  'lib/other.py': `RETRY_AFTER = 30\n\n\ndef retry_later(count):\n    return count * RETRY_AFTER\n\n\nclass Clock:\n    def tick(self):\n        return retry_later(1)\n`,
  'lib/plain.ts': 'export const SOME_TEXT = "abc1";\n',
  'lib/more.ts': 'export const FIFTH_VALUE = 5;\n',
  'notes.md': 'openStore\n',
};

test('questions about a tree follow from what its files define, call, hold and import', async (t) => {
  const corpus = await repository({ repo: tree(t, sources), seed: 1 });
  const answer = (type: string, name: string) =>
    ofType(corpus, type).find(({ question }) => question.includes(`\`${name}\``))?.gold;

  assert.equal(answer('defined', 'openStore'), 'lib/store.ts');
  assert.equal(answer('defined', 'Clock'), 'lib/other.py');
  assert.equal(answer('caller', 'checkName'), 'openStore');
  assert.equal(answer('caller', 'openStore'), undefined);
  assert.match(answer('body', 'checkName')!, /^\(name: string\) \{\n[^]*return name;\n\}$/);
  assert.equal(answer('imports', 'openStore'), 'lib/check.ts');
  const held = [...ofType(corpus, 'constant'), ...ofType(corpus, 'edited')];
  const names = held.map(({ question }) => /`(\w+)`/.exec(question)![1]!);
  assert.deepEqual(names.sort(), ['FIFTH_VALUE', 'MOST_NAMES', 'RETRY_AFTER', 'SOME_TEXT', 'STORE_LIMIT']);
});

test('after an edit the tree holds the new value and no longer the old one', async (t) => {
  const corpus = await repository({ repo: tree(t, sources), seed: 1 });
  const folder = tree(t);
  await writeCorpus(folder, corpus);
  const read = (name: string) => readFileSync(path.join(folder, 'tree', name), 'utf8');
  const asked = ofType(corpus, 'edited');
  assert.ok(asked.length >= 2);
  for (const { gold, paths } of asked) assert.ok(!read(paths[0]!).includes(gold));

  assert.equal(await applyEdits(folder), corpus.edits!.size);
  for (const { question, gold, paths } of asked) {
    const [, name] = /`(\w+)`/.exec(question)!;
    const before = new RegExp(`${name} = ([^;\\n]+)`).exec(corpus.files.get(paths[0]!)!)![1]!;
    assert.match(read(paths[0]!), new RegExp(`${name} = ${gold}\\b`));
    assert.ok(!read(paths[0]!).includes(`${name} = ${before}`));
  }
  assert.deepEqual(await readQuestions(folder), corpus.questions);
});

test('a tree without code that can be parsed is refused in words', async (t) => {
  await assert.rejects(
    repository({ repo: tree(t, { 'a.md': '# A' }), seed: 1 }),
    /has no code that questions/,
  );
});

test('names are taken from real syntax: a word in a comment or a string calls nothing', async () => {
  const facts = await factsOf(
    'a.go',
    'package a\n\n// use()\nfunc first() { second() }\nfunc second() string { return "first()" }\n',
  );
  assert.deepEqual(facts?.calls, [{ name: 'second', inside: 'first' }]);
  assert.deepEqual(
    facts?.definitions.map(({ name }) => name),
    ['first', 'second'],
  );
  assert.equal(await factsOf('a.txt', 'text'), undefined);
  assert.deepEqual((await factsOf('a.ts', 'function broken( {'))?.definitions, []);
});

test('pieces are whole lines inside the limits, and together the text', () => {
  const text = Array.from({ length: 100 }, (_, i) => `line ${i} ${'x'.repeat(i)}`).join('\n');
  const pieces = piecesOf(text);
  assert.equal(pieces.join('\n'), text);
  for (const piece of pieces) assert.ok(piece.length <= 800 && piece.split('\n').length <= 40);
  assert.deepEqual(piecesOf('\n\n'), []);
  assert.equal(piecesOf('y'.repeat(5_000))[0]!.length, 300);
});

test('the pieces nearest to a question come first', () => {
  const vectors = [
    [0, 1],
    [1, 0],
    [0.6, 0.8],
  ];
  assert.deepEqual(bySimilarity([1, 0], vectors), [1, 2, 0]);
});

test('the peers are variants of their own, without options of stored segments', () => {
  assert.deepEqual(
    parseVariants('cut,bm25').map(({ sees }) => sees),
    ['cut', 'pieces'],
  );
  assert.throws(() => parseVariants('cut:inside=exact'), /means nothing for cut/);
  assert.throws(() => parseVariants('bm25:paths=yes'), /means nothing for bm25/);
});

test('the table tells what a question took, as a mean, and nothing where it was not measured', () => {
  const outcome = (variant: string, ms?: number): Outcome => ({
    ...{ id: 'a', type: 'url', question: 'a', variant, visible: 1, found: true },
    ...{ exact: true, tokens: 1, right: 1, nll: 0, kl: 0, agreement: 1 },
    ...(ms !== undefined && { cost: { ms, promptTokens: 50, bytesPerStep: 2e6 } }),
  });
  const [head, own, peer] = fidelityTable(
    [outcome('cut', 1_000), outcome('cut', 3_000), outcome('bm25')],
    ['cut'],
  ).split('\n');
  assert.match(head!, / s +read +MB\/token /);
  assert.match(own!, / 2\.0 +50 +2\.0 /);
  assert.match(peer!, /^bm25 +1\/1 +1\/1 +\d+-100 +- +- +- /);
});
