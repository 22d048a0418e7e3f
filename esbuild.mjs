/** Bundles extension, webviews, backend and command line into dist/. */
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

/** esbuild has said what is wrong by then. */
const fail = () => process.exit(1);

await Promise.all([
  build({
    ...common,
    entryPoints: { extension: 'extension/main.ts' },
    format: 'cjs',
    platform: 'node',
    target: 'node20',
    external: ['vscode'],
    outExtension: { '.js': '.cjs' },
  }),
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
