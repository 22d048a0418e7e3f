import assert from 'node:assert/strict';
import { test } from 'node:test';
import { askedOf } from '../../extension/vscode-chat/prompts.ts';
import { answerText, foundText } from '../../extension/vscode-chat/tool-text.ts';
import { AnswerParts, transcriptOf } from '../../extension/vscode-chat/transcript.ts';
import type { Message } from '../../extension/vscode-chat/transcript.ts';
import { exactAttention } from '../fixtures/exact-attention.mjs';
import { memory } from '../fixtures/memory.mjs';

const user = (text: string): Message => ({ role: 'user', pieces: [{ kind: 'text', text }] });
const tool = { name: 'read_file', description: 'Reads a file.', inputSchema: { type: 'object' } };

test('a command of @repo becomes a task, with the places that the user attached', () => {
  const { question, about } = askedOf({
    prompt: 'is a file ignored?',
    command: 'where',
    places: ['src/a.ts:3-9'],
    earlier: [],
  });
  assert.match(question, /^Where in this repository .*: is a file ignored\? \(about src\/a\.ts:3-9\)$/);
  assert.equal(about, 'is a file ignored? (about src/a.ts:3-9)');
});

test('a question without a command goes to the model as it is', () => {
  assert.equal(askedOf({ prompt: ' Why? ', places: [], earlier: [] }).question, 'Why?');
});

test('a follow-up brings the last two exchanges along, and files are chosen by the last question too', () => {
  const earlier = ['One?', 'Two?', 'Three?'].map((question) => ({ question, answer: 'x'.repeat(5000) }));
  const { question, about } = askedOf({ prompt: 'And who calls it?', places: [], earlier });
  assert.doesNotMatch(question, /One\?/);
  assert.match(question, /^Earlier question: Two\?\nEarlier answer: x{1000}\n\n/);
  assert.match(question, /And who calls it\?$/);
  assert.equal(about, 'Three? And who calls it?');
});

test('a conversation with an agent is one text, and its last request says which files matter', () => {
  const messages: Message[] = [
    user('You are an agent with instructions about tests.'),
    user('<context>today</context>\n<userRequest>\nWhere is the cache?\n</userRequest>'),
    { role: 'assistant', pieces: [{ kind: 'call', name: 'read_file', input: { path: 'a.ts' } }] },
    { role: 'user', pieces: [{ kind: 'result', text: 'export const a = 1;' }] },
  ];
  const { question, about } = transcriptOf(messages, [tool]);
  assert.equal(about, 'Where is the cache?');
  assert.match(question, /<tools>\n\{"name":"read_file".*\n<\/tools>/);
  assert.match(
    question,
    /Assistant: <tool_call>\{"name":"read_file","arguments":\{"path":"a\.ts"\}\}<\/tool_call>/,
  );
  assert.match(question, /User: <tool_response>export const a = 1;<\/tool_response>$/);
});

test('more tools than a small model can read are left out, and without tools nothing is said of them', () => {
  const many = Array.from({ length: 100 }, (_, i) => ({
    ...tool,
    name: `t${i}`,
    description: 'd'.repeat(1000),
  }));
  const { question } = transcriptOf([user('Hi')], many);
  assert.ok(question.length < 20_000);
  assert.match(question, /"t0"/);
  assert.equal(transcriptOf([user('Hi')], []).question, 'User: Hi');
});

/** @param pieces as they come */
const split = (pieces: string[], tools = true) => {
  const parts = new AnswerParts(tools);
  return [...pieces.flatMap((piece) => parts.push(piece)), ...parts.end()];
};

test('a tool call is found in an answer however it is cut up', () => {
  const answer =
    'Let me look. <tool_call>{"name": "read_file", "arguments": {"path": "a.ts"}}</tool_call> Done.';
  const call = { kind: 'call', name: 'read_file', input: { path: 'a.ts' } };
  for (const size of [1, 3, 7, 1000]) {
    const pieces = answer.match(new RegExp(`[^]{1,${size}}`, 'g')) ?? [];
    const parts = split(pieces);
    assert.deepEqual(
      parts.find(({ kind }) => kind === 'call'),
      call,
      String(size),
    );
    const text = parts.map((part) => (part.kind === 'text' ? part.text : '|')).join('');
    assert.equal(text, 'Let me look. | Done.', String(size));
  }
});

test('what looks like a tool call and is none stays text, and an unclosed one that is whole counts', () => {
  const texts = (pieces: string[], tools = true) =>
    split(pieces, tools).map((part) => (part.kind === 'text' ? part.text : part.name));
  assert.deepEqual(texts(['<tool_call>not json</tool_call>']), ['<tool_call>not json</tool_call>']);
  assert.deepEqual(texts(['a < b and <tool']).join(''), 'a < b and <tool');
  assert.deepEqual(texts(['<tool_call>{"name":"x","arguments":{}}']), ['x']);
  const call = '<tool_call>{"name":"x","arguments":{}}</tool_call>';
  assert.deepEqual(texts([call], false), [call], 'nobody offered tools');
});

const context = { tokens: 10, files: 1, excluded: [], coverage: 0.5, budget: 100, state: '' };

test('an agent gets the answer with its places, how much was read, and that places prove nothing', () => {
  const timing = {
    prefillTokens: 0,
    prefillMs: 0,
    indexMs: 0,
    diskMs: 0,
    ttftMs: 1,
    decodeTokensPerSecond: 1,
  };
  const text = answerText({
    ...exactAttention,
    ...{ answer: ' In a.ts. ', context, timing, finish: 'stop', missed: [] },
    memory,
    citations: [{ file: 'a.ts', startLine: 1, endLine: 3, mass: 0.62 }],
  });
  assert.match(text, /^In a\.ts\.\n\n.*no proof:\n- a\.ts:1-3 62%\n\nOnly 50% of the repository was read\.$/);
});

test('found places come with their text, as much as an agent can read', () => {
  const segment = { startLine: 3, endLine: 400, tokens: 9, score: 1 };
  const text = foundText(
    {
      context,
      segments: [
        { ...segment, paths: ['a.ts'], reason: 'words' },
        { ...segment, paths: ['b.ts', 'c.ts'], reason: 'heads' },
      ],
      files: ['a.ts'],
    },
    [
      { file: 'a.ts', startLine: 3, lines: Array.from({ length: 398 }, (_, i) => `line ${i}`) },
      { file: 'd.ts', startLine: 1, lines: ['y'.repeat(50_000)] },
    ],
  );
  assert.match(text, /- a\.ts:3-400 \(words\)\n- b\.ts, c\.ts \(heads\)/);
  assert.match(text, /a\.ts, from line 3:\n```\nline 0\n/);
  assert.doesNotMatch(text, /line 120/);
  assert.ok(text.length < 13_000);
});
