/** repomix, which packs a repository into one text: fetched once into the build folder at a pinned version. */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { capture } from '../../scripts/children.mjs';
import { build } from '../../scripts/paths.mjs';

const VERSION = '1.18.1';
export const REPOMIX = `repomix ${VERSION}`;

const folder = path.join(build, 'repomix');
const program = path.join(folder, 'node_modules', 'repomix', 'bin', 'repomix.cjs');

/** Seconds that it took, or why it did not run. */
export type Repomix = { seconds: number } | { notRun: string };

/** Lists, reads and packs the tree, and counts its tokens. */
export async function runRepomix(root: string): Promise<Repomix> {
  if (!existsSync(program) && !(await install())) return { notRun: 'it could not be fetched' };
  const options = ['--quiet', '-o', path.join(folder, 'packed.xml')];
  const start = performance.now();
  const { code, output: said } = await capture(process.execPath, [program, ...options], { cwd: root });
  if (code !== 0) return { notRun: `it ended with ${code}: ${said.trim().split('\n').at(-1) ?? ''}` };
  return { seconds: (performance.now() - start) / 1_000 };
}

async function install(): Promise<boolean> {
  mkdirSync(folder, { recursive: true });
  writeFileSync(path.join(folder, 'package.json'), '{ "private": true }\n');
  const options = ['--no-audit', '--no-fund', '--ignore-scripts', '--save-exact', '--loglevel=error'];
  const { code } = await capture('npm', ['install', ...options, `repomix@${VERSION}`], { cwd: folder });
  return code === 0 && existsSync(program);
}
