/** `.repowave.json`: what the people of a repository have decided about what is read. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse, printParseErrorCode, type ParseError } from 'jsonc-parser';
import { z } from 'zod';
import { UserError } from '../errors.ts';

export const RULES_FILE = '.repowave.json';
/** A smaller limit leaves no room for a file. */
const fewestTokens = 1_000;

const patterns = z.array(z.string()).default([]);
const schema = z.object({
  /** Patterns in .gitignore's syntax: files to leave out, … */
  out: patterns,
  /** … files to read although an ignore file or `out` leaves them out, … */
  in: patterns,
  /** … and files that every question looks at closely. */
  pinned: patterns,
  /** The most tokens of a context. */
  tokens: z.number().int().min(fewestTokens).optional(),
});
export type Rules = z.infer<typeof schema>;

export const noRules: Rules = { out: [], in: [], pinned: [] };

/**
 * The rules of a folder: JSON, comments and keys of others allowed.
 * @throws UserError `usage` for a file that cannot be understood: what it leaves out must not be read by accident
 */
export async function readRules(root: string): Promise<Rules> {
  const file = join(root, RULES_FILE);
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw unreadable(file, error.message);
  });
  if (text === undefined) return noRules;
  const errors: ParseError[] = [];
  const value: unknown = parse(text.replace(/^\uFEFF/, ''), errors, { allowTrailingComma: true });
  const [first] = errors;
  if (first) {
    const line = text.slice(0, first.offset).split('\n').length;
    throw unreadable(file, `line ${line}: ${printParseErrorCode(first.error)}`);
  }
  const rules = schema.safeParse(value);
  if (rules.success) return rules.data;
  const [issue] = rules.error.issues;
  throw unreadable(file, `${issue?.path.join('.') || 'the whole'}: ${issue?.message ?? 'unknown'}`);
}

function unreadable(file: string, reason: string): UserError {
  return new UserError('usage', `${file} cannot be understood (${reason}): correct it, or remove it.`);
}
