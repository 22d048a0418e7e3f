/** The words of a text as numbers: how often each occurs, in a form that is small on disk and looked up in place. */

/** In ascending order; a word is its hash. */
export interface Words {
  hashes: Uint32Array;
  counts: Uint16Array;
  /** Different words as they stand in the text. */
  length: number;
}

/** `hashes` and then `counts`, little endian, in base64. */
export type PackedWords = [length: number, words: string];

const mostCounted = 0xffff;

/** @param numberOf the hash of a word; different words may have the same one, like those of one stem */
export function packWords(words: readonly string[], numberOf: (word: string) => number): PackedWords {
  const counts = new Map<number, number>();
  for (const word of words) {
    const number = numberOf(word);
    counts.set(number, (counts.get(number) ?? 0) + 1);
  }
  const hashes = Uint32Array.from(counts.keys()).sort();
  const ordered = Uint16Array.from(hashes, (hash) => Math.min(counts.get(hash)!, mostCounted));
  const bytes = Buffer.concat([Buffer.from(hashes.buffer), Buffer.from(ordered.buffer)]);
  return [new Set(words).size, bytes.toString('base64')];
}

export function unpackWords([length, words]: PackedWords): Words {
  const bytes = new Uint8Array(Buffer.from(words, 'base64'));
  const size = bytes.length / 6;
  return {
    length,
    hashes: new Uint32Array(bytes.buffer, 0, size),
    counts: new Uint16Array(bytes.buffer, 4 * size),
  };
}

/** How often a word occurs, by its hash. */
export function holds({ hashes, counts }: Words, hash: number): number {
  let low = 0;
  let high = hashes.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (hashes[middle]! < hash) low = middle + 1;
    else high = middle;
  }
  return hashes[low] === hash ? counts[low]! : 0;
}

/** FNV-1a over UTF-16: 32 bits, so that of the words of a large repository hardly two are taken for one another. */
export function hashOf(word: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < word.length; i++) hash = Math.imul(hash ^ word.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}
