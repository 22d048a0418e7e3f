import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { loadAddon } from '../../backend/engine/native.ts';
import { TINY_MODELS, tinyModel, VOCABULARY } from '../fixtures/tiny-models.ts';
import { createRandom } from '../reference/random.ts';

process.env.REPOWAVE_NATIVE = path.resolve(import.meta.dirname, '../../dist/native/repowave.node');
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'repowave-prefill-'));
after(() => fs.rmSync(folder, { recursive: true }));
const inFolder = (name: string): string => path.join(folder, name);

for (const { name, model: tiny } of TINY_MODELS) {
  test(`${name}: a pass without logits leaves K, V, watched queries and what follows bit for bit the same`, async () => {
    const addon = loadAddon();
    fs.writeFileSync(inFolder('model.gguf'), tinyModel(tiny));
    const model = await addon.loadModel(inFolder('model.gguf'), () => undefined);
    const session = addon.createSession(model, { threads: 2, batch: 64 });
    const { integer } = createRandom(5);
    const tokens = Int32Array.from({ length: 150 }, () => integer(0, VOCABULARY - 1));
    const last = session.attentionReport().layers - 1;

    const prefill = async (sample: boolean) => {
      session.reset([]);
      session.watch([
        [last, tiny.queryHeads - 1],
        [last - 1, 0],
      ]);
      await session.forward(tokens, 0, sample);
      const file = inFolder(`${sample}.seg`);
      await session.save(file, '{}');
      const segments = [addon.openSegment(file)];
      await session.forward(tokens.subarray(0, 1), tokens.length, true);
      const next = session.logits();
      session.truncate(tokens.length);
      await session.probe(tokens.subarray(0, 9), tokens.length);
      segments.push(addon.openSegment(inFolder('true.seg')));
      return { bytes: fs.readFileSync(file), next, mass: await session.headMass(segments) };
    };
    const withLogits = await prefill(true);
    const without = await prefill(false);
    assert.ok(without.bytes.equals(withLogits.bytes));
    assert.deepEqual(without.next, withLogits.next);
    assert.deepEqual(without.mass, withLogits.mass);
    // 150 + 1 + 9 queries, a half of whose mass goes to either of two equal segments.
    assert.ok(without.mass.every((share) => Math.abs(share - 80) < 1e-2));
    session.close();
    model.close();
  });
}
