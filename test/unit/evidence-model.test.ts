import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exactAttention } from '../fixtures/exact-attention.mjs';
import type { AskResult } from '../../backend/protocol.ts';
import { initialChat, reduceChat } from '../../extension/chat/model.ts';
import type { ChatEvent } from '../../extension/chat/model.ts';
import {
  badgeText,
  copyText,
  evidenceAt,
  evidenceTree,
  heatLevel,
  HEAT_LEVELS,
  massByFile,
  neighbour,
  placeText,
  shareText,
} from '../../extension/evidence/model.ts';
import type { EvidenceNode } from '../../extension/evidence/model.ts';
import { memory } from '../fixtures/memory.mjs';

const strong = { file: 'src/ignore.ts', startLine: 29, endLine: 35, mass: 0.62 };
const weak = { file: 'README.md', startLine: 2, endLine: 2, mass: 0.21 };
const inside = { file: 'src/ignore.ts', startLine: 31, endLine: 31, mass: 0.4 };

const context = { tokens: 1, files: 1, excluded: [], coverage: 1, budget: 1, state: '' };
const timing = {
  ...{ prefillTokens: 0, prefillMs: 0, indexMs: 0, diskMs: 0 },
  ...{ ttftMs: 1, decodeTokensPerSecond: 1 },
};
const result: AskResult = {
  ...{ answer: '1. `decideIgnore` **decides**.\nIt checks.', citations: [strong, weak] },
  ...{ context, timing, memory, finish: 'stop', missed: [] },
  ...exactAttention,
  passages: [
    { start: 0, end: 30, citations: [inside] },
    { start: 31, end: 41, citations: [] },
  ],
};
const asked: ChatEvent = {
  type: 'started',
  activity: { kind: 'ask', root: '/r', question: 'Who\ndecides?' },
};
const answered: ChatEvent = { type: 'answered', result };
const noEvidence: ChatEvent = { type: 'answered', result: { ...result, citations: [], passages: [] } };
const after = (...events: ChatEvent[]) => events.reduce(reduceChat, initialChat);

const one = after(asked, answered);
const shown = (state = one) => evidenceAt(state, state.shown) ?? assert.fail('nothing is shown');
const outline = (nodes: EvidenceNode[]): unknown[] =>
  nodes.map(({ label, description, children }) => [label, description, ...outline(children)]);

test('a new answer is shown as a whole, and a sentence of it when it is chosen', () => {
  assert.deepEqual(shown().citations, [strong, weak]);
  const sentence = reduceChat(one, { type: 'show', place: { turn: 1, passage: 0 } });
  assert.deepEqual(shown(sentence).citations, [inside]);
  assert.deepEqual(shown(after(asked, answered, asked, answered)).turn.id, 2);
});

test('nothing is shown of an answer that is cleared, of a sentence without evidence, or of an answer that has none', () => {
  assert.equal(evidenceAt(reduceChat(one, { type: 'clear' }), one.shown), undefined);
  assert.equal(evidenceAt(one, { turn: 1, passage: 1 }), undefined);
  const none = after(asked, answered, asked, noEvidence);
  assert.equal(evidenceAt(none, none.shown), undefined);
});

test('what comes after a question was cancelled changes nothing that is shown', () => {
  const state = after(asked, answered, asked, { type: 'cancelled' }, answered);
  assert.equal(shown(state).turn.id, 1);
});

test('the tree has the newest answer first, its places by rank, then its sentences with theirs', () => {
  const tree = evidenceTree(after(asked, answered, asked, noEvidence, asked, answered));
  assert.deepEqual(
    tree.map(({ id }) => id),
    ['3/', '1/'],
  );
  assert.deepEqual(outline(tree.slice(0, 1)), [
    [
      'Who decides?',
      '2 places with 83%',
      ['ignore.ts:29-35', '62% · src'],
      ['README.md:2', '21%'],
      ['1  decideIgnore decides.', '1 place with 40%', ['ignore.ts:31', '40% · src']],
    ],
  ]);
});

test('every line of the tree knows its parent, has an id of its own and says all of it in words', () => {
  const nodes: EvidenceNode[] = [];
  const visit = (node: EvidenceNode) => {
    nodes.push(node);
    for (const child of node.children) {
      assert.equal(child.parent?.id, node.id);
      visit(child);
    }
  };
  evidenceTree(after(asked, answered, asked, answered)).forEach(visit);
  assert.equal(new Set(nodes.map(({ id }) => id)).size, nodes.length);
  const spoken = nodes.map((node) => node.spoken);
  assert.ok(spoken.includes('1, src/ignore.ts:29-35, 62% of the attention'), spoken.join('; '));
  assert.ok(spoken.includes('Sentence 1  decideIgnore decides.: 1 place with 40%'), spoken.join('; '));
});

test('heat goes from the strongest place to none, whatever their shares are', () => {
  const levels = [0.02, 0.01, 0.0001, undefined].map((mass) => ({ ...strong, mass }));
  assert.deepEqual(
    levels.map((citation) => heatLevel(citation, levels)),
    [HEAT_LEVELS - 1, Math.floor(HEAT_LEVELS / 2), 0, 0],
  );
  assert.equal(heatLevel({ ...strong, mass: undefined }, [{ ...strong, mass: undefined }]), 0);
});

test('shares are never rounded to nothing, and a badge has at most two characters', () => {
  assert.deepEqual([0, 0.004, 0.62, 1].map(shareText), ['0%', '<1%', '62%', '100%']);
  assert.equal(shareText(undefined), '');
  assert.deepEqual([0.004, 0.05, 0.62, 1].map(badgeText), ['<1', '5', '62', '99']);
});

test('the masses of a file add up', () => {
  const files = massByFile([strong, weak, { ...inside, mass: 0.1 }]);
  assert.deepEqual([...files.keys()], ['src/ignore.ts', 'README.md']);
  assert.equal(files.get('src/ignore.ts')?.toFixed(2), '0.72');
});

test('next and previous go round by rank, from nowhere to the first and the last', () => {
  assert.deepEqual(
    [-1, 0, 1, 2].map((current) => neighbour(3, current, 1)),
    [0, 1, 2, 0],
  );
  assert.deepEqual(
    [-1, 0, 1, 2].map((current) => neighbour(3, current, -1)),
    [2, 2, 0, 1],
  );
});

test('a place tells its rank, its share, which sentences read it, and that this is no proof', () => {
  assert.deepEqual(placeText(shown(), strong), [
    'Evidence 1 of 2: 62% of the attention that the answer paid to the repository',
    'Read for: Sentence 1',
    'Attention is what was read, not proof.',
  ]);
  const sentence = reduceChat(one, { type: 'show', place: { turn: 1, passage: 0 } });
  assert.match(placeText(shown(sentence), inside)[0] ?? '', /40% of the attention that Sentence 1 paid/);
});

test('a place is copied as path and lines, an answer with all its places and their shares', () => {
  const [answer = assert.fail('no answer')] = evidenceTree(one);
  const { turn } = shown();
  assert.equal(copyText(answer.children[0] ?? answer, turn), 'src/ignore.ts:29-35');
  assert.equal(
    copyText(answer, turn),
    'Who decides?\n\n- src/ignore.ts:29-35 62%\n- README.md:2 21%\n\nAttention is what was read, not proof.',
  );
});
