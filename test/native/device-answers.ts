/** Answers of sessions that attend on the processor and on the emulated device, and how they are compared. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before } from 'node:test';
import type { Budget, NativeModel, NativeSession, View } from '../../backend/engine/native.ts';
import { findPlugins } from '../../backend/engine/gpu.ts';
import { loadAddon } from '../../backend/engine/native.ts';
import { buildEmulatedLibrary } from '../cuda/driver.ts';
import { tinyModel, VOCABULARY, type TinyModel } from '../fixtures/tiny-models.ts';
import { createRandom } from '../reference/random.ts';

process.env.REPOWAVE_NATIVE = path.resolve(import.meta.dirname, '../../dist/native/repowave.node');
export const addon = loadAddon();
export const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'repowave-device-'));
after(() => fs.rmSync(folder, { recursive: true }));

export const SEGMENT_TOKENS = 640;
const PROMPT_TOKENS = 30;
const ANSWER_TOKENS = 12;
export const ROOM = 64 << 20;
/** No KV head of the models' layers gets all that it looks at with this budget. */
export const BUDGET: Budget = { share: 0, tokens: 100, passTokens: 16384, estimate: true };

/** Weights on a GPU whose memory is the host's: that of the library for the emulator is too. */
export const fakeGpu = path.resolve(import.meta.dirname, '../../build/native/fake_gpu.so');
/**
 * Where there is a GPU, the library for it must share memory with llama.cpp's own plug-in; and copies take their time, so
 * that what has come ahead is not the same in every run.
 */
export const isReal = process.env.REPOWAVE_CUDA_LIBRARY !== undefined;
export const plugin = isReal ? findPlugins().cuda : fakeGpu;
export const skip = isReal && 'tells of the emulated or the fake GPU only';

export let library = '';
before(() => {
  library = buildEmulatedLibrary();
});

export const randomTokens = (seed: number, length: number): Int32Array => {
  const { integer } = createRandom(seed);
  return Int32Array.from({ length }, () => integer(0, VOCABULARY - 1));
};

export const open = (model: NativeModel, bytes?: number): NativeSession =>
  addon.createSession(model, {
    threads: 2,
    batch: 64,
    ...(bytes === undefined ? {} : { cuda: { library, bytes } }),
  });

export function load(tiny: TinyModel): Promise<NativeModel> {
  const file = path.join(folder, 'model.gguf');
  fs.writeFileSync(file, tinyModel(tiny));
  return addon.loadModel(file, () => undefined);
}

const DETAILS: View['detail'][] = ['exact', 'wave', 'wave', 'coarse'];

/** Stores segments: by default some to be seen whole, through the wave index, and in outline. */
export async function storeSegments(session: NativeSession, details = DETAILS): Promise<View[]> {
  const views: View[] = [];
  for (const [i, detail] of details.entries()) {
    session.reset([]);
    await session.forward(randomTokens(20 + i, detail === 'exact' ? 50 : SEGMENT_TOKENS), 0, false);
    const file = path.join(folder, `${numbers++}.seg`);
    await session.save(file, '{}');
    const bias = detail === 'coarse' ? -1 : i === 2 ? -0.5 : 0;
    views.push({ segment: addon.openSegment(file), detail, bias, position: 0 });
  }
  return views;
}

let numbers = 0;

export interface Answer {
  tokens: number[];
  logits: Float32Array[];
  evidence: Float32Array[];
  report: ReturnType<NativeSession['attentionReport']>;
  device: ReturnType<NativeSession['device']>;
}

export async function answer(
  session: NativeSession,
  views: View[],
  budget: Budget = BUDGET,
): Promise<Answer> {
  session.reset(views);
  session.setBudget(budget);
  const prompt = randomTokens(30, PROMPT_TOKENS);
  let next = await session.forward(prompt, SEGMENT_TOKENS, true);
  session.startEvidence();
  const [tokens, logits] = [[next], [] as Float32Array[]];
  const say = async (token: number) => {
    const position = SEGMENT_TOKENS + session.tailTokens;
    next = await session.forward(Int32Array.of(token), position, true);
    logits.push(session.logits());
    tokens.push(next);
  };
  while (tokens.length < ANSWER_TOKENS) await say(next);
  // Other words in the place of the last ones, and others that a pass of several tokens has computed.
  session.truncate(session.tailTokens - 3);
  await say(7);
  session.truncate(session.tailTokens - 2);
  await session.forward(Int32Array.of(1, 2, 3, 4), SEGMENT_TOKENS + session.tailTokens, false);
  await say(8);
  const evidence = session.takeEvidence();
  return { tokens, logits, evidence, report: session.attentionReport(), device: session.device() };
}

export function relativeError(actual: Float32Array, expected: Float32Array): number {
  let [difference, norm] = [0, 0];
  expected.forEach((value, i) => {
    difference += (value - actual[i]!) ** 2;
    norm += value ** 2;
  });
  return Math.sqrt(difference / norm);
}

/** @param tolerance of the logits: relative L2 */
export function assertSame(actual: Answer, expected: Answer, tolerance = 1e-3): void {
  assert.deepEqual(actual.tokens, expected.tokens);
  actual.logits.forEach((row, i) =>
    assert.ok(relativeError(row, expected.logits[i]!) < tolerance, `logits of step ${i}`),
  );
  actual.evidence.forEach((mass, i) => {
    const expectedMass = expected.evidence[i]!;
    assert.equal(mass.length, expectedMass.length);
    assert.ok(
      mass.length === 0 || relativeError(mass, expectedMass) < 10 * tolerance,
      `evidence of view ${i}`,
    );
  });
  for (const what of ['zones', 'retrievedTokens', 'retrievedClusters'] as const)
    assert.ok(relativeError(actual.report[what], expected.report[what]) < 1e-3, what);
  const { steps, lateClusters, bytesPerStep } = expected.report;
  assert.equal(actual.report.steps, steps);
  assert.equal(actual.report.lateClusters, lateClusters);
  assert.ok(Math.abs(actual.report.bytesPerStep / bytesPerStep - 1) < 1e-3, 'bytes of a step');
}
