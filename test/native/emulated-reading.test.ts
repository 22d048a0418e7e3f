/** Sessions that read a text on the emulated device, and find its clusters there. */
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import type { NativeSession, View } from '../../backend/engine/native.ts';
import { TINY_MODELS } from '../fixtures/tiny-models.ts';
import {
  addon,
  answer,
  folder,
  load,
  open,
  randomTokens,
  relativeError,
  ROOM,
  SEGMENT_TOKENS,
  storeSegments,
} from './device-answers.ts';

/** What comes out of reading a text behind a frame, and of a question about it. */
async function readBehind(session: NativeSession, frame: View, reader: NativeSession, name: string) {
  session.reset([frame]);
  const text = randomTokens(50, SEGMENT_TOKENS);
  const next = await session.forward(text, frame.segment.tokens, true);
  const logits = session.logits();
  const file = path.join(folder, `${name}.seg`);
  await session.save(file, '{}');
  const view: View = { segment: addon.openSegment(file), detail: 'wave', bias: 0, position: 0 };
  const { tokens } = await answer(reader, [frame, view]);
  return { next, logits, tokens };
}

/** In front of quantised weights activations are rounded to 8 bits, where the least difference may turn some. */
const unrounded = TINY_MODELS.filter(({ model }) => !model.formats);

for (const { name, model: tiny } of unrounded) {
  test(`emulated: ${name}: a text is read on the device as on the processor`, async () => {
    const model = await load(tiny);
    const [processor, reader, device] = [open(model), open(model), open(model, ROOM)];
    const [frame] = await storeSegments(processor);
    const expected = await readBehind(processor, frame!, reader, 'processor');
    const actual = await readBehind(device, frame!, reader, 'device');
    assert.ok(relativeError(actual.logits, expected.logits) < 1e-3);
    assert.equal(actual.next, expected.next);
    assert.deepEqual(actual.tokens, expected.tokens);
    const { problem, passes, clustered, refused } = device.device();
    assert.equal(problem, '');
    assert.equal(refused, 0);
    // What comes out of the last layer is wanted of the last pass only.
    const { layers } = reader.attentionReport();
    const batches = SEGMENT_TOKENS / 64;
    assert.equal(passes, batches * layers - (batches - 1));
    assert.ok(clustered > 0 && clustered <= layers);
    for (const session of [processor, reader, device]) session.close();
    model.close();
  });
}
