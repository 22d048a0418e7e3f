import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UserError } from '../../backend/errors.ts';
import { refusal, requireSupported } from '../../backend/models/architectures.ts';
import type { GgufHeader } from '../../backend/models/gguf.ts';

const header = (changes: Partial<GgufHeader>): GgufHeader => ({
  architecture: 'llama',
  name: '',
  contextLength: 2048,
  layers: 2,
  queryHeads: [4],
  kvHeads: [2],
  keyLength: 64,
  valueLength: 64,
  slidingWindow: 0,
  causal: true,
  longRope: false,
  tensors: 1,
  ...changes,
});

test('models with a plain K/V cache are welcome, and those whose caps, sinks and windows were compared with llama.cpp', () => {
  for (const architecture of [
    'llama',
    'qwen2',
    'qwen3',
    'qwen3moe',
    'starcoder2',
    'granite',
    'smollm3',
    'phi3',
    'gemma2',
    'gemma3',
    'gpt-oss',
  ]) {
    assert.equal(refusal(header({ architecture })), undefined, architecture);
  }
});

test('every family that attends otherwise is refused with its reason', () => {
  const reasons = {
    mamba: /recurrent state/,
    rwkv7: /recurrent state/,
    jamba: /mixes attention/,
    qwen3next: /mixes attention/,
    cohere2: /sliding windows/,
    llama4: /sliding windows/,
    grok: /caps/,
    granite_swa: /sinks/,
    bloom: /ALiBi/,
    deepseek2: /MLA/,
    minicpm3: /different sizes/,
    llada: /left to right/,
    bert: /encodes/,
    t5: /encoder/,
    clip: /images/,
    eagle3: /drafts/,
  };
  for (const [architecture, reason] of Object.entries(reasons)) {
    assert.match(refusal(header({ architecture })) ?? 'accepted', reason, architecture);
  }
});

test('an architecture that nobody has heard of is refused by its name', () => {
  assert.throws(
    () => requireSupported('/models/new.gguf', header({ architecture: 'zeta9' })),
    (error: unknown) =>
      error instanceof UserError &&
      error.code === 'modelUnsupported' &&
      error.message.startsWith(
        'new.gguf is of the architecture zeta9, which this version does not know; choose',
      ),
  );
});

test('a name that every JavaScript object has is no architecture', () => {
  for (const architecture of ['constructor', '__proto__', '']) {
    assert.equal(refusal(header({ architecture })), 'this version does not know');
  }
});

test('a sliding window counts only where llama.cpp obeys it', () => {
  assert.match(refusal(header({ architecture: 'olmo2', slidingWindow: 4096 })) ?? 'accepted', /sliding/);
  assert.equal(refusal(header({ architecture: 'olmo2' })), undefined);
  assert.equal(refusal(header({ architecture: 'qwen2', slidingWindow: 4096 })), undefined);
});

test('a model of a good architecture is refused when its layers or heads are not alike', () => {
  assert.match(refusal(header({ kvHeads: [2, 2, 1] })) ?? 'accepted', /heads in every layer/);
  assert.equal(refusal(header({ kvHeads: [2, 2, 2] })), undefined);
  assert.match(refusal(header({ keyLength: 96 })) ?? 'accepted', /different sizes/);
});

test('a model that rotates otherwise in long contexts is refused', () => {
  assert.match(refusal(header({ architecture: 'phi3', longRope: true })) ?? 'accepted', /LongRoPE/);
});

test('an embedding model of a good architecture is refused', () => {
  assert.match(refusal(header({ architecture: 'qwen2', causal: false })) ?? 'accepted', /cannot write/);
});
