import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { UserError } from '../../backend/errors.ts';
import { readGguf } from '../../backend/models/gguf.ts';
import { gguf, llamaLike, u64 } from './gguf-writer.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'repowave-gguf-'));
after(() => rmSync(folder, { recursive: true }));

function write(content: Buffer): string {
  const file = path.join(folder, 'model.gguf');
  writeFileSync(file, content);
  return file;
}

const isCorrupt = (pattern: RegExp) => (error: unknown) =>
  error instanceof UserError && error.code === 'modelCorrupt' && pattern.test(error.message);

test('a header tells the architecture, the name and the shape of the model', () => {
  assert.deepEqual(readGguf(write(llamaLike())), {
    architecture: 'llama',
    name: 'Tiny',
    contextLength: 2048,
    layers: 2,
    queryHeads: [4],
    kvHeads: [2],
    keyLength: 16,
    valueLength: 16,
    slidingWindow: 0,
    causal: true,
    longRope: false,
    tensors: 1,
  });
});

test('settings per layer, windows and the direction of attention are read', () => {
  const header = readGguf(
    write(
      llamaLike({
        'llama.attention.head_count_kv': [2, 1],
        'llama.attention.sliding_window': 512,
        'llama.attention.causal': false,
        'llama.attention.key_length': 24,
      }),
    ),
  );
  assert.deepEqual(header.kvHeads, [2, 1]);
  assert.equal(header.slidingWindow, 512);
  assert.equal(header.causal, false);
  assert.equal(header.keyLength, 24);
  assert.equal(header.valueLength, 16);
});

test('rotation factors for long contexts are noticed', () => {
  const tensors = [{ name: 'rope_factors_long.weight', shape: [8], type: 0, offset: 0 }];
  const content = gguf({ metadata: { 'general.architecture': 'phi3' }, tensors, data: 32 });
  assert.equal(readGguf(write(content)).longRope, true);
});

test('a vocabulary of 150,000 tokens and a long chat template are stepped over', () => {
  const tokens = Array.from({ length: 150_000 }, (_, i) => `token ${i}`);
  const template = 'x'.repeat(300_000);
  const content = llamaLike({
    'tokenizer.ggml.tokens': tokens,
    'tokenizer.chat_template': template,
    'llama.attention.sliding_window': 7,
  });
  assert.equal(readGguf(write(content)).slidingWindow, 7);
});

test('a model cut off anywhere is recognised', () => {
  const whole = llamaLike();
  const file = write(whole);
  for (let bytes = whole.length - 1; bytes >= 0; bytes--) {
    truncateSync(file, bytes);
    assert.throws(
      () => readGguf(file),
      isCorrupt(/cut off|middle of its header|not a GGUF/),
      `${bytes} bytes`,
    );
  }
});

test('a file of something else is not a model', () => {
  assert.throws(
    () => readGguf(write(Buffer.from('#!/bin/sh\necho this is a script, not a model'))),
    isCorrupt(/not a GGUF/),
  );
});

test('a GGUF version that is not 2 or 3 is refused by its number', () => {
  assert.throws(() => readGguf(write(gguf({ version: 9 }))), isCorrupt(/version 9/));
});

test('a tensor of a type that llama.cpp does not have is named', () => {
  const content = gguf({
    metadata: { 'general.architecture': 'llama' },
    tensors: [{ name: 'odd', shape: [32], type: 77, offset: 0 }],
    data: 64,
  });
  assert.throws(() => readGguf(write(content)), isCorrupt(/tensor odd .* type 77/));
});

test('a shape whose product no file can hold is refused', () => {
  const content = gguf({
    metadata: { 'general.architecture': 'llama' },
    tensors: [{ name: 'huge', shape: [2 ** 40, 2 ** 40], type: 0, offset: 0 }],
  });
  assert.throws(() => readGguf(write(content)), isCorrupt(/huge has an impossible shape/));
});

test('counts that no file can hold are refused before anything is allocated', () => {
  const head = Buffer.from('GGUF\x03\0\0\0', 'latin1');
  const huge = u64(2n ** 50n);
  const key = Buffer.concat([u64(1), Buffer.from('k')]);
  const array = Buffer.from([9, 0, 0, 0, 4, 0, 0, 0]);
  const files = {
    tensors: Buffer.concat([head, huge, u64(0)]),
    entries: Buffer.concat([head, u64(0), huge]),
    'length of a key': Buffer.concat([head, u64(0), u64(1), huge]),
    'length of a list': Buffer.concat([head, u64(0), u64(1), key, array, huge]),
  };
  for (const [what, content] of Object.entries(files)) {
    assert.throws(() => readGguf(write(content)), isCorrupt(/impossible/), what);
  }
});

test('a path that is no file is unknown, not corrupt', () => {
  for (const missing of [path.join(folder, 'missing.gguf'), folder]) {
    assert.throws(
      () => readGguf(missing),
      (error: unknown) => error instanceof UserError && error.code === 'modelUnknown',
    );
  }
});

/** mulberry32, so that a failure can be repeated. */
function random(seed: number): () => number {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

test('whatever bytes are damaged, the reader gives a header or says that the file is corrupt', () => {
  const next = random(20);
  const whole = llamaLike({ 'llama.attention.head_count_kv': [2, 1] });
  let refused = 0;
  for (let round = 0; round < 3_000; round++) {
    const content = Buffer.from(whole);
    for (let i = 0; i <= round % 4; i++) {
      content[Math.floor(next() * content.length)] = next() < 0.5 ? 0xff : Math.floor(next() * 256);
    }
    try {
      assert.equal(typeof readGguf(write(content)).architecture, 'string');
    } catch (error) {
      assert.ok(isCorrupt(/./)(error), `round ${round}: ${String(error)}`);
      refused++;
    }
  }
  assert.ok(refused > 500, `only ${refused} of the damaged files were refused`);
});
