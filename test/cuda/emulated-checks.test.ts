/** The kernels under ThreadSanitizer, as a detector of races, and under AddressSanitizer and UndefinedBehaviorSanitizer. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { randomCase } from './calls.ts';
import { buildEmulated, SCHEDULES, tryRun } from './driver.ts';
import { buildPasses, randomPoints, randomPrefill, tryPasses } from './passes.ts';
import { SANITIZERS } from './sanitizers.ts';

const cases = [
  randomCase(100, { headSize: 64, group: 9 }),
  randomCase(101, { headSize: 80, late: true, waves: [200, 90] }),
  randomCase(102, { headSize: 96, sinks: true, softCap: true, window: true }),
  randomCase(103, { headSize: 256, biases: true, waves: [70] }),
  randomCase(104, { headSize: 64, group: 1, waves: [3500], budget: 3000, late: false }),
];
for (const { step } of cases) step.mass = step.moves = true;
const passes = [
  randomPrefill(100, { headSize: 64, group: 3, tokens: 30, sinks: true, softCap: true, more: true }),
  randomPrefill(101, { headSize: 80, window: true, tokens: 12 }),
  randomPrefill(102, { headSize: 256, biases: true, tokens: 5 }),
  randomPoints(103, 64, 'f16', 2, 70),
  randomPoints(104, 80, 'bf16', 1, 40),
];

for (const [what, name, flags] of [
  ['races with nothing', 'emulated-tsan', SANITIZERS.tsan],
  ['touches no memory but its own and relies on nothing undefined', 'emulated-asan', SANITIZERS.asan],
] as const) {
  test(`emulated: a step ${what}, under every schedule`, () => {
    const program = buildEmulated(name, { flags });
    for (const seed of SCHEDULES) {
      const ended = tryRun(
        program,
        cases.map(({ step }) => step),
        seed,
      );
      assert.equal(ended.status, 0, `schedule ${seed}: ${ended.stderr}`);
    }
  });

  test(`emulated: passes of several tokens and k-means: ${what}, under every schedule`, () => {
    const program = buildPasses(`${name}-passes`, { flags });
    for (const seed of SCHEDULES) {
      const ended = tryPasses(program, passes, seed);
      assert.equal(ended.status, 0, `schedule ${seed}: ${ended.stderr}`);
    }
  });
}
