import assert from 'node:assert/strict';
import { readFileSync, statSync } from 'node:fs';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { AskRequest, MemoryRequest, type ContextReport, type Progress } from '../../backend/protocol.ts';
import { ensureModel, modelsDirectory } from '../../backend/models/download.ts';
import { runScript } from '../bench/script.ts';
import type { Fill, Filled } from '../bench/fill-ours.ts';
import { code, Lab, logged } from './harness.ts';

const MIB = 2 ** 20;
const real = {
  REPOWAVE_NATIVE: fileURLToPath(new URL('../../dist/native/repowave.node', import.meta.url)),
  REPOWAVE_MODELS: modelsDirectory(),
};

test('the memory is told by tier, also while an answer is written', async (t) => {
  const lab = new Lab(t, { 'src/apple.ts': code('apple') });
  const backend = await lab.start({ FAKE_HOLD: 'Question: Hold on?' });
  const client = await lab.connect(backend);
  const before = await client.request0(MemoryRequest);
  assert.ok(before.ramBytes > 10 * MIB);
  assert.deepEqual([before.hits, before.readBytes, before.capBytes], [0, 0, 2 ** 33]);
  const params = lab.params('Where?', { ramBytes: 5000 });
  const { memory } = await client.request(AskRequest, params);
  const { tokens } = (await lab.ask(client)).context;
  assert.deepEqual([memory.capBytes, memory.gpuBytes, memory.diskBytes], [5000, 0, 4 * tokens]);
  const { hits, misses, estimated, readBytes } = await client.request0(MemoryRequest);
  assert.ok(memory.hits > 0 && memory.hits < hits);
  assert.deepEqual([misses, estimated, readBytes], [hits / 4, 0, 100 * (hits / 4)]);

  client.request(AskRequest, lab.params('Hold on?')).catch(() => undefined);
  await logged(backend, 'fake: holding');
  assert.equal((await client.request0(MemoryRequest)).hits, hits);
});

test('where weights and attention are computed is chosen at load and told', async (t) => {
  const lab = new Lab(t, { 'src/apple.ts': code('apple') });
  const told = async (gpu: 'auto' | 'off' | undefined, environment: Record<string, string>) => {
    const client = await lab.connect(await lab.start(environment));
    const { memory } = await client.request(AskRequest, lab.params('Where?', { gpu }));
    return [memory.gpu, memory.gpuBytes];
  };
  const there = { FAKE_GPU: 'X', REPOWAVE_GPU: 'plugin.so' };
  assert.deepEqual(await told(undefined, there), [undefined, 0]);
  assert.deepEqual(await told('off', there), [undefined, 0]);
  assert.deepEqual(await told('auto', there), ['weights and attention on X', 1007]);
  const full = { ...there, REPOWAVE_GPU: 'full.so' };
  const sentence = 'weights on the CPU, attention on X: no room for weights';
  assert.deepEqual(await told('auto', full), [sentence, 7]);
  const none = 'weights and attention on the CPU: no NVIDIA driver';
  assert.deepEqual(await told('auto', { REPOWAVE_GPU: 'plugin.so' }), [none, 0]);
});

test('a process with a cap far below the stored K/V stays below weights, cap and 300 MiB', async (t) => {
  const words = Array.from({ length: 7 }, (_, i) => `word${i}`);
  const lab = new Lab(t, Object.fromEntries(words.map((word) => [`${word}.ts`, code(word, 9_500)])));
  const model = 'smollm2-135m';
  const made: Fill = { repo: lab.repository, store: lab.store, model, sample: 0, threads: 2 };
  const { tokens } = (await runScript('fill-ours.ts', made)) as Filled;
  const backend = await lab.start(real);
  const client = await lab.connect(backend);
  const cap = 96 * MIB;
  const enough = new AbortController();
  let context: ContextReport | undefined;
  const onProgress = (value: Progress) => {
    if (value.kind === 'context') ({ context } = value);
    // What the model says about random K/V may be long.
    if (value.kind === 'text') enough.abort();
  };
  const asked = { model, gate: 'off', mode: 'wave', ramBytes: cap } as const;
  const question = lab.params('What does word3 return?', asked);
  const answered = client.request(AskRequest, question, { signal: enough.signal, onProgress });
  await assert.rejects(answered, { code: 'cancelled' });
  assert.deepEqual([context?.tokens, context?.coverage, context?.synthetic], [tokens, 1, true]);
  const memory = await client.request0(MemoryRequest);
  assert.ok(memory.misses > 0 && memory.keptBytes <= cap, JSON.stringify(memory));

  const status = readFileSync(`/proc/${backend.handshake.pid}/status`, 'utf8');
  const peak = 1024 * Number(/^VmHWM:\s*(\d+)/m.exec(status)?.[1]);
  const weights = statSync((await ensureModel(model, { directory: modelsDirectory() })).path).size;
  const beside = peak - weights - cap;
  const stored = lab.stored('.seg').reduce((sum, file) => sum + statSync(file).size, 0);
  t.diagnostic(`${stored / MIB} MiB are stored; ${beside / MIB} MiB beside weights and cap`);
  assert.ok(stored > cap + 300 * MIB, 'it would all fit');
  assert.ok(beside <= 300 * MIB, `${beside / MIB} MiB`);
});
