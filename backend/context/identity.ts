import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import type { ResolvedModel } from '../models/download.ts';

/** Holds the metadata and vocabulary of every model there is, and some weights. */
const sampleBytes = 8 << 20;

/**
 * What tells a model from all others: the catalogue's checksum, or for a file of the user's its size with a checksum
 * of its beginning and end, since hashing gigabytes at every start would take too long.
 */
export async function identityOf({ path, sha256 }: ResolvedModel): Promise<string> {
  if (sha256) return sha256;
  const file = await open(path);
  try {
    const { size } = await file.stat();
    const hash = createHash('sha256').update(`${size}`);
    const sample = Buffer.alloc(sampleBytes);
    for (const position of [0, Math.max(0, size - sampleBytes)]) {
      const { bytesRead } = await file.read(sample, 0, sampleBytes, position);
      hash.update(sample.subarray(0, bytesRead));
    }
    return hash.digest('hex');
  } finally {
    await file.close();
  }
}
