/** What the tests of the repository reader share: temporary trees, seeded chance, and a tokenizer without a model. */
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import type { Tokenized } from '../../backend/engine/native.ts';

/** A temporary folder with these files, removed after the test. */
export function tree(t: TestContext, files: Record<string, string | Buffer> = {}): string {
  const root = realpathSync(mkdtempSync(join(tmpdir(), 'repowave-repo-')));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  write(root, files);
  return root;
}

export function write(root: string, files: Record<string, string | Buffer>): void {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
  }
}

/** A generator of integers in [0, bound), the same for the same seed (mulberry32). */
export function seeded(seed: number): (bound: number) => number {
  let state = seed;
  return (bound) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % bound;
  };
}

/** Cuts at random bytes, also within characters and line breaks; the same for the same text. */
export function randomTokenizer(longestToken: number): (text: string) => Promise<Tokenized> {
  return (text) => {
    const length = Buffer.byteLength(text);
    const random = seeded(length);
    const ends: number[] = [];
    for (let end = 0; end < length;) {
      end = Math.min(end + 1 + random(longestToken), length);
      ends.push(end);
    }
    return Promise.resolve({
      tokens: Int32Array.from(ends, (_, index) => index),
      ends: Uint32Array.from(ends),
    });
  };
}

/** One token per `bytes` bytes. */
export function evenTokenizer(bytes: number): (text: string) => Promise<Tokenized> {
  return (text) => {
    const length = Buffer.byteLength(text);
    const ends = Uint32Array.from({ length: Math.ceil(length / bytes) }, (_, index) =>
      Math.min((index + 1) * bytes, length),
    );
    return Promise.resolve({ tokens: Int32Array.from(ends, () => 0), ends });
  };
}
