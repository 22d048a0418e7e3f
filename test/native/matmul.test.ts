import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  dequantize,
  FORMATS,
  randomRows,
  roundActivations,
  type FormatName,
} from '../reference/quantized.ts';
import { createRandom } from '../reference/random.ts';
import { addon, relativeError } from './wave-addon.ts';

const PANEL = 32;
const skip = addon.hasMatmul() ? false : 'this processor has no AVX-512 VNNI';

/** [tokens][PANEL] */
function reference(weights: Float64Array, x: Float64Array, columns: number): Float64Array {
  return Float64Array.from({ length: (x.length / columns) * PANEL }, (_, at) => {
    const [token, row] = [Math.floor(at / PANEL), at % PANEL];
    let sum = 0;
    for (let i = 0; i < columns; i++) sum += weights[row * columns + i]! * x[token * columns + i]!;
    return sum;
  });
}

for (const format of Object.keys(FORMATS) as FormatName[])
  test(`products with ${format} weights are those of the reference`, { skip }, () => {
    const random = createRandom(11);
    const { values } = FORMATS[format];
    for (const tokens of [1, 5, 6, 7, 20]) {
      const columns = values * random.integer(1, values === 32 ? 9 : 3);
      const rows = randomRows(format, PANEL * columns, 0.3, random);
      // Blocks of very different sizes, and one of zeros.
      const x = Float32Array.from({ length: tokens * columns }, (_, i) =>
        i < 32 ? 0 : random.normal() * 10 ** ((i >> 5) % 5),
      );
      const weights = dequantize(format, rows);
      const got = addon.multiplyQuantized(format, rows, columns, x);
      assert.ok(relativeError(got, reference(weights, roundActivations(x), columns)) < 1e-6);
      assert.ok(relativeError(got, reference(weights, Float64Array.from(x), columns)) < 2e-2);
    }
  });

test('a token’s product does not depend on the tokens beside it, bit for bit', { skip }, () => {
  const random = createRandom(12);
  const columns = 512;
  const rows = randomRows('q5_K', PANEL * columns, 0.3, random);
  const x = Float32Array.from({ length: 8 * columns }, random.normal);
  const together = addon.multiplyQuantized('q5_K', rows, columns, x);
  for (let token = 0; token < 8; token++)
    assert.deepEqual(
      addon.multiplyQuantized('q5_K', rows, columns, x.subarray(token * columns, (token + 1) * columns)),
      together.subarray(token * PANEL, (token + 1) * PANEL),
    );
});
