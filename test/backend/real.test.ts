import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { modelsDirectory } from '../../backend/models/download.ts';
import { AskRequest, VerifyRequest } from '../../backend/protocol.ts';
import { Lab } from './harness.ts';

const addon = fileURLToPath(new URL('../../dist/native/repowave.node', import.meta.url));
const real = { REPOWAVE_NATIVE: addon, REPOWAVE_MODELS: modelsDirectory() };

test('the real engine reads once, and gives the same answer and places to every process', async (t) => {
  const lab = new Lab(t, {
    'src/limits.ts': 'export const MAX_UPLOAD_MEGABYTES = 48;\n',
    'src/greet.ts': 'export function greet(name: string) {\n  return `Hello ${name}`;\n}\n',
  });
  const ask = async () => {
    const client = await lab.client(real);
    return client.request(AskRequest, {
      ...lab.params('What is the value of MAX_UPLOAD_MEGABYTES?'),
      model: 'smollm2-135m',
    });
  };
  const first = await ask();
  assert.match(first.answer, /48/);
  assert.equal(first.timing.prefillTokens, first.context.tokens);
  assert.ok(first.citations.every(({ file }) => ['src/limits.ts', 'src/greet.ts'].includes(file)));
  assert.equal(lab.stored('.seg').length, 2, 'frame and one sequence');

  const second = await ask();
  assert.equal(second.timing.prefillTokens, 0);
  assert.equal(second.answer, first.answer);
  assert.deepEqual(
    second.citations.map(({ file, startLine }) => path.join(file, String(startLine))),
    first.citations.map(({ file, startLine }) => path.join(file, String(startLine))),
  );

  const client = await lab.client(real);
  const whole = await client.request(VerifyRequest, { deep: true });
  assert.deepEqual([whole.segments, whole.damaged], [2, []]);
  const [flipped = ''] = lab.stored('.seg');
  const bytes = readFileSync(flipped);
  bytes[20]! ^= 1;
  writeFileSync(flipped, bytes);
  const { damaged } = await client.request(VerifyRequest, {});
  assert.deepEqual(
    damaged.map(({ file }) => file),
    [flipped],
  );

  for (const file of lab.stored('.seg')) {
    const content = readFileSync(file);
    content[content.length - 100]! ^= 1;
    writeFileSync(file, content);
  }
  const third = await ask();
  assert.equal(third.timing.prefillTokens, first.context.tokens, 'none of the damaged files is used');
  assert.equal(third.answer, first.answer);
});
