/** The frame: what stands before every segment. One for all repositories, so that a text is stored once for all. */
import type { NativeModel } from '../engine/native.ts';
import { templateOf, tokenizeParts } from './assemble.ts';
import type { Store } from './store.ts';
import { warmup } from './warmup.ts';

/** With the hash under which its K/V is stored. */
export interface Frame {
  hash: string;
  content: Int32Array;
  text: string;
}

export async function frameOf(store: Store, model: NativeModel): Promise<Frame> {
  const { head } = templateOf(model);
  const content = await tokenizeParts(model, [
    { text: head, special: true },
    { text: warmup, special: false },
  ]);
  const text = head + warmup;
  return { hash: store.hash(text), content, text };
}
