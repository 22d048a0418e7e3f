/**
 * A stand-in for the native addon that needs no model: a token is a byte, K/V is the tokens themselves, and the answer
 * is whatever FAKE_ANSWER says. What is under way can be made to hang until it is cancelled, so that tests of cancel
 * and kill need no timing: FAKE_HOLD names the text whose forward pass never ends.
 */
'use strict';
const fs = require('node:fs');

const END = 256;
const info = {
  architecture: 'fake',
  description: 'fake',
  layers: 1,
  queryHeads: 1,
  kvHeads: 1,
  headSize: 1,
  vocabulary: 257,
  trainedContext: Number(process.env.FAKE_CONTEXT ?? 65536),
  bytes: 1000,
  kvBytesPerToken: 4,
};

const failure = (code, message) => Object.assign(new Error(message), { code });

function loadModel(path, onProgress) {
  if (!fs.existsSync(path)) return Promise.reject(failure('ModelCorrupt', `${path} is missing`));
  onProgress(1);
  return Promise.resolve({
    info,
    tokenize: async (text, special) => {
      const tokens = Int32Array.from(Buffer.from(special ? text.replaceAll('<special>', '\u0001') : text));
      return { tokens, ends: Uint32Array.from(tokens, (_, i) => i + 1) };
    },
    piece: (token) => (token === END ? Buffer.alloc(0) : Buffer.from([token])),
    isEndOfGeneration: (token) => token === END,
    applyChatTemplate: (messages) =>
      messages.map(({ role, content }) => `[${role}]${content}`).join('') + '[assistant]',
    close() {},
  });
}

function openSegment(path) {
  let stored;
  try {
    stored = JSON.parse(fs.readFileSync(path, 'utf8'));
  } catch {
    throw failure('SegmentCorrupt', 'not a segment');
  }
  return {
    tokens: stored.text.length,
    bytes: stored.text.length * 4,
    meta: stored.meta,
    text: stored.text,
    close() {},
  };
}

function createSession() {
  let views = [];
  let tail = '';
  let step = 0;
  let evidence;
  let cancelHold = () => {};
  const next = () => {
    const bytes = Buffer.from(process.env.FAKE_ANSWER ?? 'It is in main.ts.');
    return step < bytes.length ? bytes[step++] : END;
  };
  return {
    reset(newViews) {
      views = newViews;
      tail = '';
      step = 0;
    },
    async forward(tokens, position, sample) {
      const text = Buffer.from(tokens).toString('latin1');
      if (process.env.FAKE_HOLD && text.includes(process.env.FAKE_HOLD)) {
        fs.writeSync(2, 'fake: holding\n');
        await new Promise((resolve) => (cancelHold = resolve));
        throw failure('Cancelled', 'cancelled');
      }
      if (process.env.FAKE_LOG) {
        const seen = { position, tokens: tokens.length, views: views.map(({ bias }) => bias), text };
        fs.appendFileSync(process.env.FAKE_LOG, `${JSON.stringify(seen)}\n`);
      }
      tail += text;
      if (sample) for (const view of evidence ?? []) view.forEach((_, i) => (view[i] += 1));
      return sample ? next() : -1;
    },
    cancel: () => cancelHold(),
    logits: () => new Float32Array(info.vocabulary),
    truncate: (tokens) => (tail = tail.slice(0, tokens)),
    get tailTokens() {
      return tail.length;
    },
    async save(path, meta) {
      fs.writeFileSync(`${path}.tmp`, JSON.stringify({ text: tail, meta }));
      fs.renameSync(`${path}.tmp`, path);
    },
    startEvidence: () => (evidence = views.map(({ segment }) => new Float32Array(segment.tokens))),
    takeEvidence: () => evidence,
    close() {},
  };
}

module.exports = { isa: 'fake', llamaVersion: '0', loadModel, createSession, openSegment };
