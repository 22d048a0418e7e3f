import assert from 'node:assert/strict';
import { test } from 'node:test';
import { initialChat, reduceChat } from '../../extension/chat/model.ts';
import type { ChatEvent, Turn } from '../../extension/chat/model.ts';
import { answerMarkdown, answers } from '../../extension/export/markdown.ts';
import { exactAttention } from '../fixtures/exact-attention.mjs';
import { memory } from '../fixtures/memory.mjs';

const context = {
  tokens: 41_203,
  files: 1,
  excluded: [],
  coverage: 1,
  budget: 1_000_000,
  state: '3f2a91c0d4',
};
const started = (question: string): ChatEvent => ({
  type: 'started',
  activity: { kind: 'ask', root: '/home/user/shop', question },
});
const answered: ChatEvent = {
  type: 'answered',
  result: {
    answer: 'In `a b.ts`.',
    citations: [
      { file: 'src/a b.ts', startLine: 3, endLine: 9, mass: 0.624 },
      { file: 'c.ts', startLine: 1, endLine: 1 },
    ],
    context,
    timing: { prefillTokens: 0, prefillMs: 0, indexMs: 0, diskMs: 0, ttftMs: 1, decodeTokensPerSecond: 1 },
    memory,
    finish: 'stop',
    missed: [],
    ...exactAttention,
  },
};

function turns(...events: ChatEvent[]): Turn[] {
  return events.reduce(reduceChat, initialChat).turns;
}

test('an answer becomes Markdown with its question, its sources as links, and an honest word about them', () => {
  const [turn] = turns(started('Where\nis it?'), answered);
  const text = answerMarkdown(turn!);
  assert.match(text, /^# Where is it\?\n\nIn `a b\.ts`\.\n\n## Sources\n\n/);
  assert.match(text, /- \[src\/a b\.ts:3-9\]\(<src\/a%20b\.ts#L3-L9>\), 62%\n- \[c\.ts:1\]\(<c\.ts#L1>\)\n/);
  assert.match(text, /they prove nothing/);
  assert.match(text, /RepoWave, about shop/);
});

test('the links lead from the document to the files', () => {
  const [turn] = turns(started('Where?'), answered);
  assert.match(
    answerMarkdown(turn!, (file) => `../${file}`),
    /\(<\.\.\/c\.ts#L1>\)/,
  );
});

test('questions without an answer are not offered, and the newest answer comes first', () => {
  const all = turns(started('One?'), answered, started('Two?'), answered, started('Three?'), {
    type: 'cancelled',
  });
  assert.deepEqual(
    answers(all).map(({ id }) => id),
    [2, 1],
  );
});
