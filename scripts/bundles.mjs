/** The JavaScript that runs: dist/, made by esbuild.mjs. */
import { at } from './paths.mjs';
import { capture } from './children.mjs';
import { Problem } from './problem.mjs';
import { isCurrent, stampFor } from './stamps.mjs';

const product = {
  name: 'bundles',
  inputs: ['backend', 'extension', 'esbuild.mjs', 'tsconfig.json', 'package-lock.json'],
  outputs: [
    ...['dist/extension.cjs', 'dist/language-client.cjs', 'dist/ws.cjs'],
    ...['chat', 'insights'].flatMap((page) => [`dist/${page}.js`, `dist/${page}.css`]),
    ...['dist/backend.mjs', 'dist/cli.mjs'],
  ],
};

/** @returns {boolean} */
export function bundlesAreCurrent() {
  return isCurrent(product);
}

/** @throws {Problem} with esbuild's first error */
export async function buildBundles() {
  const stamp = stampFor(product);
  const { code, output } = await capture(process.execPath, [at('esbuild.mjs')]);
  if (code !== 0) throw new Problem(`Could not bundle the TypeScript: ${output.trim()}`);
  stamp();
}
