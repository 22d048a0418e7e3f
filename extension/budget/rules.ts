/** Changes of the text of `.repowave.json` that leave everything else in it as it is. Pure. */
import { parse } from 'jsonc-parser';
import type { ParseError } from 'jsonc-parser';
import { t } from '../l10n.ts';
import { withEntry, withoutEntries } from './json-lists.ts';

export const RULES_FILE = '.repowave.json';

type List = 'out' | 'in' | 'pinned';
export type Choice = 'in' | 'out' | 'pin' | 'unpin';

/** Paths are relative to the root; that of a folder ends in a slash. */
export interface Target {
  path: string;
  /** Whether it is left out now. */
  isOut: boolean;
}

/** As a literal in .gitignore's syntax, and for this one place. */
export const patternOf = (path: string): string =>
  `/${path.replace(/[\\*?[\]!#]/g, '\\$&').replace(/ $/, '\\ ')}`;

/**
 * The text after a choice about a file or folder.
 * @param text empty while there is no file
 * @throws a sentence for the user when the text is no JSON
 */
export function chosen(text: string, { path, isOut }: Target, choice: Choice): string {
  const pattern = patternOf(path);
  const isIt = (other: string) => other === pattern;
  const isInside = (other: string) => isIt(other) || (path.endsWith('/') && other.startsWith(pattern));
  switch (choice) {
    case 'out': {
      // What was decided about files in a folder has no meaning without it.
      const without = lists.reduce((rest, list) => remove(rest, list, isInside), checked(text));
      return add(without, 'out', [pattern]);
    }
    case 'in': {
      const before = checked(text);
      const after = remove(before, 'out', isIt);
      return after === before && isOut ? add(before, 'in', [pattern]) : after;
    }
    case 'pin':
      return add(checked(text), 'pinned', [pattern]);
    case 'unpin':
      return remove(checked(text), 'pinned', isIt);
  }
}

/** The text with more patterns to leave out. */
export const leavingOut = (text: string, patterns: readonly string[]): string =>
  add(checked(text), 'out', patterns);

/** Whether a path is pinned by itself, and not by a pattern for several. */
export const isPinnedAlone = (text: string, path: string): boolean =>
  entries(text, 'pinned').includes(patternOf(path));

const lists: List[] = ['out', 'in', 'pinned'];

function checked(text: string): string {
  if (text.trim() === '') return '{}\n';
  const errors: ParseError[] = [];
  const value: unknown = parse(text, errors, { allowTrailingComma: true });
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
  if (errors.length === 0 && isObject) return text;
  throw new Error(t('{0} cannot be understood: please correct it first.', RULES_FILE));
}

function entries(text: string, list: List): unknown[] {
  const value = (
    parse(text, [], { allowTrailingComma: true }) as Partial<Record<List, unknown>> | undefined
  )?.[list];
  return Array.isArray(value) ? value : [];
}

function add(text: string, list: List, patterns: readonly string[]): string {
  return patterns.reduceRight(
    (rest, pattern) => (entries(rest, list).includes(pattern) ? rest : withEntry(rest, list, pattern)),
    text,
  );
}

const remove = (text: string, list: List, isGone: (pattern: string) => boolean): string =>
  withoutEntries(text, list, (entry) => typeof entry === 'string' && isGone(entry));
