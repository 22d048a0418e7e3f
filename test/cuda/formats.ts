/** Numbers of 16 bits: IEEE half precision and bfloat16, rounded to nearest even. */

export const FORMATS = ['f16', 'bf16'] as const;
export type Format = (typeof FORMATS)[number];

/** Bits of the mantissa, exponent of the smallest normal number, and the largest number. */
const LIMITS = {
  f16: { mantissa: 10, lowest: -14, largest: 65504, bias: 15 },
  bf16: { mantissa: 7, lowest: -126, largest: 3.3895313892515355e38, bias: 127 },
};

function roundOne(x: number, format: Format): number {
  const { mantissa, lowest, largest } = LIMITS[format];
  if (!Number.isFinite(x) || x === 0) return x;
  const exponent = Math.max(lowest, Math.floor(Math.log2(Math.abs(x))));
  const step = 2 ** (exponent - mantissa);
  const below = Math.floor(x / step);
  const rest = x / step - below;
  const up = rest > 0.5 || (rest === 0.5 && below % 2 !== 0);
  const rounded = (up ? below + 1 : below) * step;
  return Math.abs(rounded) > largest ? Math.sign(x) * Infinity : rounded;
}

export function round(x: ArrayLike<number>, format: Format): Float64Array {
  return Float64Array.from(x, (value) => roundOne(value, format));
}

/** @param x numbers that the format holds */
export function encode(x: ArrayLike<number>, format: Format): Uint16Array {
  const { mantissa, lowest, bias } = LIMITS[format];
  const top = (2 * bias + 1) << mantissa;
  return Uint16Array.from(x, (value) => {
    const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
    if (Number.isNaN(value)) return top | 1;
    if (!Number.isFinite(value)) return sign | top;
    const size = Math.abs(value);
    if (size < 2 ** lowest) return sign | (size / 2 ** (lowest - mantissa));
    const exponent = Math.floor(Math.log2(size));
    return sign | ((exponent + bias) << mantissa) | ((size / 2 ** exponent - 1) * 2 ** mantissa);
  });
}
