/** The frame: what stands before every segment of a repository. */
import { existsSync } from 'node:fs';
import { realpath } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import type { NativeModel } from '../engine/native.ts';
import { chooseWarmup, type Warmup } from '../repo/frame.ts';
import { templateOf, tokenizeParts, warmupFor } from './assemble.ts';
import { parseJson } from './json.ts';
import { sha256, type Store } from './store.ts';

/** With the hash under which its K/V is stored. */
export interface Frame {
  hash: string;
  content: Int32Array;
  text: string;
}

/** So many warm-ups are remembered for a repository. */
const mostWarmups = 4;
const savedWarmups = z.array(z.object({ text: z.string(), paths: z.array(z.string()) }));

/**
 * A frame stays the same for as long as it can: a new one makes every stored segment useless. One whose files are gone
 * from the tree (renamed, deleted, on another branch) goes on; one of a file that is left out now must not be shown to
 * the model.
 */
export async function frameOf(
  store: Store,
  model: NativeModel,
  root: string,
  files: readonly { path: string; bytes: number }[],
  read: (path: string) => Promise<string>,
): Promise<Frame> {
  const name = `frames/${sha256(await realpath(root))}.json`;
  const known = parseJson(savedWarmups, await store.folder.read(name)) ?? [];
  const kept = new Set(files.map((file) => file.path));
  const isUsable = ({ paths }: Warmup) =>
    paths.every((file) => kept.has(file) || !existsSync(path.join(root, file)));
  let warmup = known.find(isUsable);
  if (!warmup) {
    const tokenize = (text: string) => model.tokenize(text, false);
    warmup = await chooseWarmup(files, read, tokenize, warmupFor(model.info.trainedContext));
    await store.folder.write(name, JSON.stringify([warmup, ...known].slice(0, mostWarmups)));
  }
  const { head } = templateOf(model);
  const content = await tokenizeParts(model, [
    { text: head, special: true },
    { text: warmup.text, special: false },
  ]);
  const text = head + warmup.text;
  return { hash: store.hash(text), content, text };
}
