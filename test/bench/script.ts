/** Measurements of RepoWave run in processes of their own, so that nothing of one is left for the next. */
import { fileURLToPath } from 'node:url';
import { capture } from '../../scripts/children.mjs';
import { at } from '../../scripts/paths.mjs';

/** @returns what the script in this folder, given the argument as JSON, prints as its last line: JSON too */
export async function runScript(
  name: string,
  argument: unknown,
  onLine?: (line: string) => void,
): Promise<unknown> {
  const script = fileURLToPath(new URL(`./${name}`, import.meta.url));
  const { code, output } = await capture(
    process.execPath,
    ['--import', 'tsx', script, JSON.stringify(argument)],
    {
      env: { ...process.env, REPOWAVE_NATIVE: at('dist', 'native', 'repowave.node') },
      ...(onLine && { onLine }),
    },
  );
  if (code !== 0) throw new Error(`the measurement of RepoWave failed with ${code}:\n${output}`);
  const last = output.trimEnd().split('\n').at(-1) ?? '';
  return JSON.parse(last);
}
