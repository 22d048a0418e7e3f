import { UserError } from '../errors.ts';

const units: Record<string, number> = { '': 1, k: 1e3, m: 1e6, g: 1e9, t: 1e12 };

/**
 * Bytes of a size as people write it: `8GB`, `512 MiB`, `1.5g`, `1000000`.
 * @throws UserError `usage`
 */
export function parseSize(text: string): number {
  const match = /^\s*(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?\s*$/i.exec(text);
  const [, amount, letter = '', binary] = match ?? [];
  const power = letter.toLowerCase();
  const unit = binary ? 1024 ** Object.keys(units).indexOf(power) : units[power];
  const bytes = Math.floor(Number(amount) * (unit ?? NaN));
  if (!(bytes > 0))
    throw new UserError('usage', `${JSON.stringify(text)} is not a size: write it like 8GB or 512MiB.`);
  return bytes;
}
