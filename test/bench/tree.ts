/** Repositories made for measuring. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export const FILE_BYTES = 10_000;

/** Code-like text, different in every file; some 3,000 tokens each. */
export function writeTree(root: string, files: number): void {
  mkdirSync(root, { recursive: true });
  execFileSync('git', ['init', '-q'], { cwd: root });
  for (let index = 0; index < files; index++) {
    const folder = join(root, `group-${index % 40}`, `part-${index % 1_000}`);
    mkdirSync(folder, { recursive: true });
    let text = '';
    for (let line = 0; text.length < FILE_BYTES; line++)
      text += `export function compute${index}_${line}(first: number, second: string) {\n  return first * ${line} + second.length;\n}\n`;
    writeFileSync(join(folder, `file-${index}.ts`), text);
  }
}

/** A line more in the middle of the first file of some 300 lines. @returns its path */
export function editFile(root: string, line: string): string {
  const names = readdirSync(root, { recursive: true, encoding: 'utf8' }).sort();
  for (const name of names.filter((file) => /\.[jt]s$/.test(file))) {
    const lines = readFileSync(join(root, name), 'utf8').split('\n');
    if (lines.length < 280 || lines.length > 320) continue;
    lines.splice(150, 0, line);
    writeFileSync(join(root, name), lines.join('\n'));
    return name;
  }
  throw new Error(`${root} has no file of some 300 lines`);
}
