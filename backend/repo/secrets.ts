/** Finds credentials with secretlint's recommended rules. */
import { extname } from 'node:path';
import { lintSource } from '@secretlint/core';
import { secretLintProfiler } from '@secretlint/profiler';
import { creator } from '@secretlint/secretlint-rule-preset-recommend';
import type { SecretLintCoreConfig } from '@secretlint/types';

// secretlint keeps some forty performance marks per file for ever and searches them all at each one, which makes
// 100,000 files impossible. There is no option; the profiler is a shared object.
secretLintProfiler.mark = () => undefined;

const PRESET = '@secretlint/secretlint-rule-preset-recommend';
const config: SecretLintCoreConfig = { rules: [{ id: PRESET, rule: creator }] };

/** Kind and line (from 1) of the first secret in a text, without the secret itself. `path` is absolute. */
export async function findSecret(
  path: string,
  text: string,
): Promise<{ kind: string; line: number } | undefined> {
  const { messages } = await lintSource({
    source: { filePath: path, content: text, ext: extname(path), contentType: 'text' },
    options: { config },
  });
  const found = messages.find(({ type }) => type === 'message');
  return found && { kind: found.ruleId.replace(/^.*secretlint-rule-/, ''), line: found.loc.start.line };
}
