import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import test from 'node:test';
import MiniSearch, { type SearchResult } from 'minisearch';
import { stemmer } from 'stemmer';
import { eng, removeStopwords } from 'stopword';
import { LexicalIndex, terms, wordsOf } from '../../backend/context/lexical.ts';

const documents = [
  { segment: 1, path: 'src/scan.ts', text: 'export const isFileIgnored = (path) => ignore(path);' },
  { segment: 2, path: 'src/pack.ts', text: 'export const packSegments = (pieces) => pieces;' },
  ...[3, 4, 5, 6, 7].map((segment) => ({
    segment,
    path: `src/x${segment}.ts`,
    text: 'export const other = 1;',
  })),
  { segment: 7, path: 'src/long.ts', text: 'an unusual zebra' },
  { segment: 8, path: 'src/long.ts', text: 'zebra crossing' },
];

test('identifiers are found whole and by their parts', () => {
  assert.deepEqual(terms('isFileIgnored'), ['isfileignored', 'is', 'file', 'ignored']);
  assert.deepEqual(terms('HTTPServer read_file x2 word'), [
    ...['httpserver', 'http', 'server', 'read_file', 'read', 'file', 'x2', 'x', '2', 'word'],
  ]);
});

test('compounds begin with a letter and have a part behind a dash', () => {
  const compounds = (text: string) => terms(text).filter((term) => term.includes('-'));
  assert.deepEqual(compounds('cache-key 3-x-y 2nd-best 7-8-a a--b c-d--e f- -g x-1'), [
    ...['cache-key', 'x-y', 'nd-best', 'c-d', 'x-1'],
  ]);
});

/** With steps that grow with the square of the length, each of these takes more than a minute. */
test('one very long word is looked through all the same', { timeout: 60_000 }, () => {
  const lengths = ['a', 'A', 'a1', '1', '-', '_'].map((text) => terms(text.repeat(300_000)).length);
  assert.deepEqual(lengths, [1, 1, 600_001, 1, 0, 1]);
  const index = LexicalIndex.build([{ segment: 1, path: 'a', text: 'y'.repeat(300_000) }]);
  assert.deepEqual(index.rank('y'.repeat(300_000)).segments, [1]);
});

test('the segment with the words of the question comes first, whatever their endings', () => {
  const index = LexicalIndex.build(documents);
  assert.equal(index.rank('Which function decides whether a file is ignored?').segments[0], 1);
  assert.equal(index.rank('What ignores paths?').segments[0], 1);
  assert.equal(index.rank('What does packSegments return?').segments[0], 2);
  assert.equal(index.rank('Explain scan.ts').paths[0], 'src/scan.ts');
});

test('a file that is spread over segments is named once', () => {
  const { segments, paths } = LexicalIndex.build(documents).rank('zebra');
  assert.deepEqual(paths, ['src/long.ts']);
  assert.deepEqual(segments.sort(), [7, 8]);
});

test('only segments with a shared word are ranked, and words that phrase a question share nothing', () => {
  const index = LexicalIndex.build(documents);
  assert.equal(index.rank('export').segments.length, 7);
  assert.deepEqual(index.rank('giraffe'), { segments: [], paths: [] });
  assert.deepEqual(index.rank('what is it?'), { segments: [], paths: [] });
});

test('an index of stored words ranks as before', () => {
  const index = LexicalIndex.build(documents);
  const stored = documents.map(({ text, ...rest }) => ({ ...rest, words: wordsOf(rest.path, text) }));
  const again = new LexicalIndex(JSON.parse(JSON.stringify(stored)) as typeof stored);
  assert.deepEqual(again.rank('packSegments of scan'), index.rank('packSegments of scan'));
});

test('it ranks as MiniSearch does', () => {
  const files = readdirSync('backend', { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.ts'),
  );
  const texts = files.sort().map((path, segment) => {
    return { id: segment, segment, path, text: readFileSync(`backend/${path}`, 'utf8') };
  });
  const index = LexicalIndex.build(texts);
  const peer = new MiniSearch({
    ...{ fields: ['path', 'text'], storeFields: ['path'], tokenize: terms, processTerm: stemmer },
    searchOptions: { boost: { path: 2 } },
  });
  peer.addAll(texts);
  const stopwords = [...eng, 'file', 'files', 'function', 'functions', 'code', 'repository'];
  const likely = (text: string) => removeStopwords(terms(text), stopwords);
  const pathsOf = (hits: SearchResult[]) => hits.map(({ path }) => path as string);
  for (const { path, text } of texts) {
    const line = text.split('\n').find((other) => other.length > 60) ?? path;
    assert.deepEqual(index.rank(line).paths, pathsOf(peer.search(line, { tokenize: likely })), line);
    assert.deepEqual(index.holders(path).paths, pathsOf(peer.search(path, { combineWith: 'AND' })), path);
  }
});

test('a name is where all of its words are', () => {
  const index = LexicalIndex.build(documents);
  assert.deepEqual(index.holders('isFileIgnored').segments, [1]);
  assert.deepEqual(index.holders('src/pack.ts').segments, [2]);
  assert.deepEqual(index.holders('packIgnored').segments, []);
});
