/** The kernels under ThreadSanitizer, as a detector of races, and under AddressSanitizer and UndefinedBehaviorSanitizer. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { randomCase } from './calls.ts';
import { buildEmulated, SCHEDULES, tryRun } from './driver.ts';
import { SANITIZERS } from './sanitizers.ts';

const cases = [
  randomCase(100, { headSize: 64, group: 9 }),
  randomCase(101, { headSize: 80, late: true, waves: [200, 90] }),
  randomCase(102, { headSize: 96, sinks: true, softCap: true, window: true }),
  randomCase(103, { headSize: 256, biases: true, waves: [70] }),
  randomCase(104, { headSize: 64, group: 1, waves: [3500], budget: 3000, late: false }),
];
for (const { step } of cases) step.mass = step.moves = true;

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
}
