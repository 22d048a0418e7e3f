import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'node:test';
import { LexicalIndex } from '../../backend/context/lexical.ts';
import { Sight, type SightContext } from '../../backend/context/sight.ts';
import type { NativeSegment, View } from '../../backend/engine/native.ts';
import type { AskParams } from '../../backend/protocol.ts';

const words = ['apple', 'banana', 'cherry', 'damson', 'elder', 'figfig', 'grape', 'lemon'];
const paths = words.map((word) => `src/${word}.ts`);
const alive = new AbortController().signal;

/** A repository of one file per word; the heads' attention goes where `mass` says. */
function makeContext(mass?: (segments: NativeSegment[]) => number[]) {
  const segments = words.map(() => ({ tokens: 10 }) as NativeSegment);
  const calls: string[] = [];
  let views: View[] = [];
  const context: SightContext = {
    session: {
      reset: (given) => calls.push(`reset ${given.length}`),
      look: (given) => (views = given),
      watch: (heads) => calls.push(`watch ${heads.length}`),
      probe: (tokens, position) => {
        calls.push(`probe ${tokens.length} @${position}`);
        return Promise.resolve();
      },
      headMass: (given) => Promise.resolve(Float32Array.from(mass?.(given) ?? [])),
      cancel: () => undefined,
    },
    model: {
      tokenize: (text) =>
        Promise.resolve({ tokens: Int32Array.from(Buffer.from(text)), ends: new Uint32Array() }),
    },
    snapshot: {
      segments: paths.map((path) => ({
        ...{ hash: '', tokens: 10, blank: [[]] },
        lines: { lead: 0, sources: [{ path, startLine: 1, tokens: 10, header: 0, lines: [10] }] },
      })),
      lexical: LexicalIndex.build(words.map((text, segment) => ({ segment, path: paths[segment]!, text }))),
      imports: {},
    },
    frame: { tokens: 7 } as NativeSegment,
    segments,
    heads: mass ? [[0, 0]] : [],
  };
  const visible = () =>
    segments.flatMap((segment, id) =>
      views.some((view) => view.segment === segment && view.bias === 0) ? [words[id]] : [],
    );
  return { context, calls, visible };
}

const params = (more: Partial<AskParams> = {}): AskParams => ({
  root: '/r',
  question: 'apple?',
  gate: 1,
  ...more,
});
const sentence = (text: string, end = 1) => ({ text, end });

test('the question alone is probed behind the frame, and nothing stays watched', async () => {
  const { context, calls } = makeContext(() => [1, 0, 0, 0, 0, 0, 0, 0]);
  await Sight.choose(context, params(), alive);
  const question = '\n\nQuestion: apple?'.length;
  assert.deepEqual(calls, ['reset 1', 'watch 1', `probe ${question} @7`, 'watch 0']);
});

test('a sentence about what is visible changes nothing, one about another segment adds it', async () => {
  const { context, visible } = makeContext();
  const sight = await Sight.choose(context, params({ question: 'apple' }), alive);
  assert.equal(await sight.look(sentence('The apple.'), 0), undefined);
  const assembled = await sight.look(sentence('See src/banana.ts with banana.'), 0);
  assert.deepEqual(visible(), ['apple', 'banana']);
  assert.equal(assembled?.views.length, 1 + words.length);
  assert.deepEqual(
    sight.report()?.looks.map(({ added, removed }) => [added.paths, removed]),
    [[['src/banana.ts'], null]],
  );
});

test('the queries since the last look count as much as the words', async () => {
  const { context, visible } = makeContext(() => [0.1, 0.2, 0.3, 0.9, 0, 0, 0, 0]);
  const sight = await Sight.choose(context, params({ question: 'apple' }), alive);
  await sight.look(sentence('It is damson.'), 0);
  assert.ok(visible().includes('damson'));
});

test('when six are visible, the unpinned one that was useful least recently goes', async () => {
  const { context, visible } = makeContext();
  const sight = await Sight.choose(context, params({ question: 'what?', pin: ['src/lemon.ts'] }), alive);
  for (const word of words.slice(0, 6)) await sight.look(sentence(word), 0);
  assert.deepEqual(visible(), ['apple', 'banana', 'cherry', 'damson', 'elder', 'figfig', 'lemon']);
  await sight.look(sentence('grape'), 0);
  assert.deepEqual(visible(), ['apple', 'cherry', 'damson', 'elder', 'figfig', 'grape', 'lemon']);
  assert.deepEqual(sight.report()?.looks.at(-1)?.removed?.paths, ['src/banana.ts']);
});

test('a question for one file is told one path, others several', async () => {
  const { context } = makeContext();
  const ask = async (question: string) => {
    const sight = await Sight.choose(context, params({ question, gate: 2 }), alive);
    return sight.hints().paths.length;
  };
  assert.deepEqual(
    await Promise.all(
      ['Which file holds the apple and the banana?', 'What of the apple and the banana?'].map(ask),
    ),
    [1, 2],
  );
});

test('with the gate off nothing is probed or looked at again', async () => {
  const { context, calls } = makeContext(() => []);
  const sight = await Sight.choose(context, params({ gate: 'off' }), alive);
  assert.equal(await sight.look(sentence('banana'), 0), undefined);
  assert.equal(sight.report(), null);
  assert.deepEqual(calls, []);
});

test('where a constant is set to another one, the segment of that one is chosen too, and the link is told', async (t) => {
  const root = await mkdtemp(path.join(tmpdir(), 'sight-'));
  t.after(() => rm(root, { recursive: true }));
  await mkdir(path.join(root, 'src'));
  const texts = [
    'const FIRST_ONE = SECOND_ONE;',
    'FIRST_ONE and FIRST_ONE',
    'const SECOND_ONE = 7;',
    'THIRD_ONE = 1;',
    'THIRD_ONE THIRD_ONE',
  ];
  for (const [i, text] of texts.entries()) await writeFile(path.join(root, paths[i]!), text);
  const { context } = makeContext();
  context.snapshot.lexical = LexicalIndex.build(
    texts.map((text, segment) => ({ segment, path: paths[segment]!, text })),
  );
  const ask = async (question: string, drop: string[] = []) => {
    const sight = await Sight.choose(context, { root, question, drop }, alive);
    const chosen = sight.report()?.segments.flatMap((segment) => segment.paths);
    return [chosen, sight.hints().settings];
  };
  assert.deepEqual(await ask('What is FIRST_ONE?'), [
    [paths[0], paths[2], paths[1]],
    ['FIRST_ONE = SECOND_ONE'],
  ]);
  assert.deepEqual(await ask('What is SECOND_ONE?'), [[paths[2]], []]);
  assert.deepEqual(await ask('What is THIRD_ONE?'), [[paths[4]], []]);
  assert.deepEqual(await ask('What is FIRST_ONE?', [paths[0]!]), [[paths[1]], []]);
});
