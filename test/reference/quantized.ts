/**
 * Weights as GGUF files keep them, in plain loops: layouts of `ggml-common.h`, arithmetic of `dequantize_row_*` in
 * `ggml-quants.c` of llama.cpp. A row is a run of blocks.
 */
import type { createRandom } from './random.ts';

type Random = ReturnType<typeof createRandom>;

interface Format {
  /** ggml's number of the type. */
  type: number;
  values: number;
  bytes: number;
  /** Weight i of a block. */
  weight: (block: DataView, i: number) => number;
  /** Where the block's halves lie, and what they are for weights of about unit deviation. */
  halves: readonly (readonly [offset: number, value: number])[];
}

/** Of a normal half-precision number. */
function half(block: DataView, offset: number): number {
  const bits = block.getUint16(offset, true);
  const sign = bits >> 15 ? -1 : 1;
  return sign * 2 ** (((bits >> 10) & 31) - 15) * (1 + (bits & 1023) / 1024);
}

/** The normal half-precision number next to `x` on the side of zero. */
function halfBits(x: number): number {
  const exponent = Math.floor(Math.log2(Math.abs(x)));
  const mantissa = Math.floor((Math.abs(x) / 2 ** exponent - 1) * 1024);
  return (x < 0 ? 0x8000 : 0) | ((exponent + 15) << 10) | mantissa;
}

/** Element i of 32 in 16 bytes: low nibbles first. */
function nibble(block: DataView, offset: number, i: number): number {
  const byte = block.getUint8(offset + (i % 16));
  return i < 16 ? byte & 15 : byte >> 4;
}

const bit = (block: DataView, offset: number, i: number): number =>
  (block.getUint8(offset + (i >> 3)) >> (i & 7)) & 1;

/** Element i of 256 in 128 bytes: 64 of them in 32 bytes, low nibbles first. */
function longNibble(block: DataView, offset: number, i: number): number {
  const byte = block.getUint8(offset + (i >> 6) * 32 + (i & 31));
  return i & 32 ? byte >> 4 : byte & 15;
}

/** The six-bit scale and minimum of part `j` of eight, times the block's two halves. */
function scaleAndMinimum(block: DataView, j: number): [scale: number, minimum: number] {
  const at = (i: number): number => block.getUint8(4 + i);
  const [scale, minimum] =
    j < 4
      ? [at(j) & 63, at(j + 4) & 63]
      : [(at(j + 4) & 15) | ((at(j - 4) >> 6) << 4), (at(j + 4) >> 4) | ((at(j) >> 6) << 4)];
  return [half(block, 0) * scale, half(block, 2) * minimum];
}

function q6(block: DataView, i: number): number {
  const [part, at] = [(i >> 5) & 3, i & 31];
  const low = block.getUint8((i >> 7) * 64 + (part & 1) * 32 + at);
  const high = block.getUint8(128 + (i >> 7) * 32 + at);
  const value = (part < 2 ? low & 15 : low >> 4) | (((high >> (2 * part)) & 3) << 4);
  return half(block, 208) * block.getInt8(192 + (i >> 4)) * (value - 32);
}

export const FORMATS = {
  q4_1: {
    ...{ type: 3, values: 32, bytes: 20 },
    weight: (block, i) => half(block, 0) * nibble(block, 4, i) + half(block, 2),
    halves: [
      [0, 0.2],
      [2, -1.5],
    ],
  },
  q5_0: {
    ...{ type: 6, values: 32, bytes: 22 },
    weight: (block, i) => half(block, 0) * (nibble(block, 6, i) + 16 * bit(block, 2, i) - 16),
    halves: [[0, 0.1]],
  },
  q5_1: {
    ...{ type: 7, values: 32, bytes: 24 },
    weight: (block, i) => half(block, 0) * (nibble(block, 8, i) + 16 * bit(block, 4, i)) + half(block, 2),
    halves: [
      [0, 0.1],
      [2, -1.6],
    ],
  },
  q8_0: {
    ...{ type: 8, values: 32, bytes: 34 },
    weight: (block, i) => half(block, 0) * block.getInt8(2 + i),
    halves: [[0, 0.0135]],
  },
  q4_K: {
    ...{ type: 12, values: 256, bytes: 144 },
    weight: (block, i) => {
      const [scale, minimum] = scaleAndMinimum(block, i >> 5);
      return scale * longNibble(block, 16, i) - minimum;
    },
    halves: [
      [0, 0.004],
      [2, 0.03],
    ],
  },
  q5_K: {
    ...{ type: 13, values: 256, bytes: 176 },
    weight: (block, i) => {
      const [scale, minimum] = scaleAndMinimum(block, i >> 5);
      const fifth = (block.getUint8(16 + (i & 31)) >> (i >> 5)) & 1;
      return scale * (longNibble(block, 48, i) + 16 * fifth) - minimum;
    },
    halves: [
      [0, 0.002],
      [2, 0.03],
    ],
  },
  q6_K: {
    ...{ type: 14, values: 256, bytes: 210 },
    weight: q6,
    halves: [[208, 0.0007]],
  },
} as const satisfies Record<string, Format>;

export type FormatName = keyof typeof FORMATS;

/** Rows of random weights with about that deviation. */
export function randomRows(
  format: FormatName,
  weights: number,
  deviation: number,
  { integer, uniform }: Random,
): Uint8Array {
  const { values, bytes, halves } = FORMATS[format];
  const rows = Uint8Array.from({ length: (weights / values) * bytes }, () => integer(0, 255));
  const view = new DataView(rows.buffer);
  for (let start = 0; start < rows.length; start += bytes)
    for (const [offset, value] of halves)
      view.setUint16(start + offset, halfBits(value * deviation * (0.8 + 0.4 * uniform())), true);
  return rows;
}

/** The weights of rows as numbers. */
export function dequantize(format: FormatName, rows: Uint8Array): Float64Array {
  const { values, bytes, weight } = FORMATS[format];
  return Float64Array.from({ length: (rows.length / bytes) * values }, (_, i) => {
    const start = rows.byteOffset + Math.floor(i / values) * bytes;
    return weight(new DataView(rows.buffer, start, bytes), i % values);
  });
}

/** To the next integer, of two equally near to the even one. */
function roundToEven(x: number): number {
  const below = Math.floor(x);
  const rest = x - below;
  return rest > 0.5 || (rest === 0.5 && below % 2 !== 0) ? below + 1 : below;
}

/**
 * Activations in eight bits, 32 to a scale of 1/127 of the largest: ggml's Q8_0, with a scale of 32 bits. The factor
 * and the product are rounded to 32 bits as in the kernels: one rounded to another integer would look like a mistake.
 */
export function roundActivations(x: Float32Array): Float64Array {
  return Float64Array.from(x, (value, i) => {
    const block = x.subarray(i - (i % 32), i - (i % 32) + 32);
    const highest = block.reduce((most, each) => Math.max(most, Math.abs(each)), 0);
    if (highest === 0) return 0;
    return (roundToEven(Math.fround(value * Math.fround(127 / highest))) * highest) / 127;
  });
}
