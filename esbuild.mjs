/** Bundles extension, webviews, backend and command line into dist/. */
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

/** @type {import('esbuild').BuildOptions} */
const common = {
  bundle: true,
  outdir: 'dist',
  absWorkingDir: fileURLToPath(new URL('.', import.meta.url)),
  sourcemap: 'external',
  logLevel: 'warning',
  // Its main file finds its parts with a `require` that no bundler sees.
  alias: { 'jsonc-parser': 'jsonc-parser/lib/esm/main.js' },
};

/** CommonJS dependencies call `require` for Node's own modules, which an ES module does not have. */
const requireBanner = `import { createRequire as __createRequire } from 'node:module';
const require = __createRequire(import.meta.url);`;

/** What the extension loads at its first use, from a file of its own, so that VS Code need not at its start. */
const later = { 'language-client': 'extension/backend/language-client.ts', ws: 'ws' };

/** @type {import('esbuild').BuildOptions} */
const inVSCode = {
  ...common,
  format: 'cjs',
  platform: 'node',
  target: 'node20',
  external: ['vscode'],
  outExtension: { '.js': '.cjs' },
};

/** @type {import('esbuild').Plugin} */
const loadLater = {
  name: 'load-later',
  setup: ({ onResolve }) =>
    onResolve({ filter: /^ws$|\/language-client\.ts$/ }, ({ kind, path }) =>
      kind === 'dynamic-import' ? { path: `./${basename(path, '.ts')}.cjs`, external: true } : undefined,
    ),
};

/** esbuild has said what is wrong by then. */
const fail = () => process.exit(1);

await Promise.all([
  build({
    ...inVSCode,
    entryPoints: { extension: 'extension/main.ts' },
    // Of this library it needs the names of the requests only.
    alias: { ...common.alias, 'vscode-jsonrpc': './node_modules/vscode-jsonrpc/lib/common/messages.js' },
    plugins: [loadLater],
    // VS Code gives `vscode` to what is loaded by `require`.
    supported: { 'dynamic-import': false },
  }),
  build({ ...inVSCode, entryPoints: later }),
  build({
    ...common,
    entryPoints: { chat: 'extension/chat/web/main.ts', insights: 'extension/insights/web/main.ts' },
    format: 'iife',
    platform: 'browser',
    target: 'es2022',
    minify: true,
  }),
  build({
    ...common,
    entryPoints: { backend: 'backend/main.ts', cli: 'backend/cli.ts' },
    format: 'esm',
    platform: 'node',
    target: 'node20',
    outExtension: { '.js': '.mjs' },
    banner: { js: requireBanner },
  }),
]).catch(fail);
