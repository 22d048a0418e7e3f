/** Packs the extension: build/repowave-linux-x64.vsix, with everything it needs bundled in dist. */
import fs from 'node:fs';
import { createVSIX } from '@vscode/vsce';
import { at, build, root } from './paths.mjs';
import { formatAmount } from '../backend/terminal/progress.mjs';

const file = at('build', 'repowave-linux-x64.vsix');
fs.mkdirSync(build, { recursive: true });
await createVSIX({
  cwd: root,
  packagePath: file,
  target: 'linux-x64',
  dependencies: false,
  allowMissingRepository: true,
  rewriteRelativeLinks: false,
});
process.stderr.write(`${file}: ${formatAmount(fs.statSync(file).size, 'bytes')}\n`);
