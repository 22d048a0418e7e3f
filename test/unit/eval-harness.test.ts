/** The eval's own judgement, on a model that says what it is told to. */
import assert from 'node:assert/strict';
import { readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import type { NativeSession } from '../../backend/engine/native.ts';
import type { Question } from '../eval/corpus.ts';
import { fidelity } from '../eval/fidelity.ts';
import type { Lab } from '../eval/lab.ts';
import { parseVariants } from '../eval/variants.ts';
import { tree } from './repo-helpers.ts';

const end = 0;
const vocabulary = 128;
const codes = (text: string) => Int32Array.from(text, (letter) => letter.charCodeAt(0));

/** One token per letter; whatever it reads, it says `answer` letter by letter and then ends. */
class Parrot {
  /** Everything that it has read since `reset`, and the longest that this was. */
  text = '';
  read: string[] = [];
  #said = 0;

  constructor(private readonly answer: string) {}

  reset() {
    this.truncate(0);
  }

  truncate(tokens: number) {
    this.read.push(this.text);
    this.text = this.text.slice(0, tokens);
    this.#said = 0;
  }

  forward(tokens: Int32Array, position: number, sample: boolean) {
    assert.equal(position, this.text.length);
    this.text += String.fromCharCode(...tokens);
    if (sample) this.#said++;
    return Promise.resolve(sample ? this.#next() : -1);
  }

  logits() {
    return Float32Array.from({ length: vocabulary }, (_, token) => (token === this.#next() ? 1 : 0));
  }

  attentionReport() {
    return { bytesPerStep: 10 };
  }

  setBudget() {}
  startEvidence() {}
  close() {}

  #next() {
    return this.#said > this.answer.length ? end : this.answer.charCodeAt(this.#said - 1) || end;
  }
}

function labOf(
  t: TestContext,
  answer: string,
  { window = 10_000, files = {} }: { window?: number; files?: Record<string, string> } = {},
) {
  const root = tree(t, files);
  const parrot = new Parrot(answer);
  const model = {
    info: { trainedContext: window },
    tokenize: (text: string) => Promise.resolve({ tokens: codes(text), ends: new Uint32Array() }),
    piece: (token: number) => Buffer.from(String.fromCharCode(token)),
    isEndOfGeneration: (token: number) => token === end,
    applyChatTemplate: (messages: { content: string }[]) => messages.map(({ content }) => content).join('\n'),
  };
  const whole = 'w'.repeat(3_000);
  const lab = {
    options: { say: () => undefined, tree: root },
    runner: { model },
    session: parrot as unknown as NativeSession,
    newSession: () => parrot as unknown as NativeSession,
    ...{ segments: [], frame: { tokens: 0 }, position: 0, tokens: whole.length },
    wholeText: () => Promise.resolve(codes(whole)),
    promptOf: ({ question, answerPrefix }: Question) =>
      Promise.resolve(codes(`Q:${question}A:${answerPrefix}`)),
    goldOf: ({ gold }: Question) => Promise.resolve(codes(gold)),
    rightSegments: () => [],
    chooseBy: () => Promise.resolve({ visible: [], hints: { paths: [], settings: [] } }),
    files: () =>
      Promise.resolve(
        Object.keys(files).map((name) => ({ path: name, bytes: statSync(path.join(root, name)).size })),
      ),
  };
  return { lab: lab as unknown as Lab, parrot };
}

const question: Question = {
  ...{
    id: 'a',
    type: 'url',
    question: 'What is the magic of openStore?',
    answerPrefix: 'It is ',
    gold: '4711',
    paths: ['a.ts'],
  },
};
const ask = (lab: Lab, variants: string, asked = question) =>
  fidelity(lab, [asked], { variants: parseVariants(variants), onOutcome: () => undefined });

test('a right answer counts, a wrong, a shorter and an empty one do not, whether forced or free', async (t) => {
  const free = { ...question, golds: ['4711', '12'], room: 20 };
  for (const [answer, forcedRight, freeRight] of [
    ['4711', true, false],
    ['4712', false, false],
    ['47', false, false],
    ['', false, false],
    ['12 and 4711', false, true],
    ['4711, 12', true, true],
  ] as const) {
    const [forced] = await ask(labOf(t, answer).lab, 'exact');
    assert.equal(forced!.exact, forcedRight, `forced ${answer}`);
    const [own] = await ask(labOf(t, answer).lab, 'exact', free);
    assert.deepEqual([own!.exact, own!.answer], [freeRight, answer], `free ${answer}`);
  }
});

test('a free answer ends where its room ends', async (t) => {
  const [outcome] = await ask(labOf(t, 'abcdefgh').lab, 'exact', { ...question, golds: ['h'], room: 3 });
  assert.deepEqual([outcome!.answer, outcome!.exact], ['abc', false]);
});

test('cut text ends at the window with room for the question, and a text that fits is whole', async (t) => {
  const small = labOf(t, '4711', { window: 2_048 });
  const [outcome] = await ask(small.lab, 'cut');
  assert.deepEqual([outcome!.found, outcome!.exact], [false, true]);
  assert.equal(small.parrot.read.find((text) => text.includes('Q:'))!.indexOf('Q:'), 1_024);

  const large = labOf(t, '4711');
  assert.equal((await ask(large.lab, 'cut'))[0]!.found, true);
  assert.equal(large.parrot.read.find((text) => text.includes('Q:'))!.indexOf('Q:'), 3_000);
});

test('retrieval reads the pieces that share words with the question and nothing else', async (t) => {
  const files = { 'a.ts': 'function openStore() {}\n', 'b.ts': 'const other = 1;\n', 'c.ts': 'let third;\n' };
  const { lab, parrot } = labOf(t, '4711', { files });
  const [outcome] = await ask(lab, 'bm25');
  const read = parrot.text;
  assert.ok(read.includes(readFileSync(path.join(lab.options.tree, 'a.ts'), 'utf8').trim()));
  assert.ok(!read.includes('third'));
  assert.deepEqual([outcome!.found, outcome!.cost!.bytesPerStep], [true, 10]);
  assert.ok(read.endsWith('A:It is 471'));
  assert.equal(outcome!.cost!.promptTokens, read.length - 3);
});
