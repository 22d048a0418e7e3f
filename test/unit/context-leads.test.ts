import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { leadsOf } from '../../backend/context/leads.ts';
import { LexicalIndex } from '../../backend/context/lexical.ts';
import { tree } from './repo-helpers.ts';

const nothing: ReadonlySet<number> = new Set();

/** A repository of these texts, each a file and a segment. */
function repository(t: TestContext, texts: string[]) {
  const files = texts.map((text, segment) => ({ segment, path: `f${segment}.ts`, text }));
  const root = tree(t, Object.fromEntries(files.map(({ path, text }) => [path, text])));
  const segments = files.map(({ path, text }) => {
    const lines = text.split('\n').map(() => 1);
    const source = { path, startLine: 1, tokens: lines.length, header: 0, lines };
    return { hash: path, tokens: lines.length, blank: [], lines: { lead: 0, sources: [source] } };
  });
  const snapshot = { segments, lexical: LexicalIndex.build(files) };
  const leads = async (question: string, without = nothing) =>
    (await leadsOf(question, root, snapshot, without)).map(
      ({ name, segment, target }) => `${segment} ${name} ${target ?? '-'}`,
    );
  return { root, snapshot, leads };
}

const chain = ['LIMIT_A = LIMIT_B;', 'uses(LIMIT_A, LIMIT_B);', 'LIMIT_B = LIMIT_C;', 'LIMIT_C = 512;'];

test('a name leads from where it is set to where the name behind it is set, to its end', async (t) => {
  const { leads } = repository(t, chain);
  assert.deepEqual(await leads('What is LIMIT_A?'), [
    ...['0 LIMIT_A LIMIT_B', '2 LIMIT_B LIMIT_C', '3 LIMIT_C -'],
  ]);
  assert.deepEqual(await leads('What is LIMIT_C?'), [], 'set to no name');
  assert.deepEqual(await leads('What is LIMIT_D?'), [], 'set nowhere');
});

test('a chain ends after three names, and where it comes back to one', async (t) => {
  const long = repository(t, [...chain.slice(0, 3), 'LIMIT_C = LIMIT_D;', 'LIMIT_D = 1;']);
  assert.deepEqual(await long.leads('What is LIMIT_A?'), [
    ...['0 LIMIT_A LIMIT_B', '2 LIMIT_B LIMIT_C', '3 LIMIT_C LIMIT_D'],
  ]);
  const cycle = repository(t, ['LIMIT_A = LIMIT_B;', 'LIMIT_B = LIMIT_A;', 'SELF_X = SELF_X;']);
  assert.deepEqual(await cycle.leads('What is LIMIT_A?'), ['0 LIMIT_A LIMIT_B', '1 LIMIT_B LIMIT_A']);
  assert.deepEqual(await cycle.leads('What is SELF_X?'), []);
});

test('a segment that is dropped leads nowhere', async (t) => {
  const { leads } = repository(t, chain);
  assert.deepEqual(await leads('What is LIMIT_A?', new Set([3])), ['0 LIMIT_A LIMIT_B', '2 LIMIT_B LIMIT_C']);
  assert.deepEqual(await leads('What is LIMIT_A?', new Set([2])), []);
  assert.deepEqual(await leads('What is LIMIT_A?', new Set([0])), []);
});

test('a file that is gone leads nowhere, and hides no other', async (t) => {
  const { root, leads } = repository(t, [
    ...chain,
    'LIMIT_B = 7; // with more words, so that it is looked at later',
  ]);
  rmSync(join(root, 'f2.ts'));
  assert.deepEqual(await leads('What is LIMIT_A?'), ['0 LIMIT_A LIMIT_B', '4 LIMIT_B -']);
});

test('only the lines of the segment itself tell what a name is set to', async (t) => {
  const { root, snapshot } = repository(t, ['LIMIT_A = OLD_X;\nLIMIT_A = LIMIT_B;', 'LIMIT_B = 1;']);
  const source = snapshot.segments[0]!.lines.sources[0]!;
  Object.assign(source, { startLine: 2, lines: [1] });
  const [lead] = await leadsOf('What is LIMIT_A?', root, snapshot, nothing);
  assert.equal(lead?.target, 'LIMIT_B');
});
