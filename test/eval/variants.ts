/**
 * The ways to attend that are compared, in a small language: `KIND[:OPTION=VALUE,...]`, several joined by commas:
 * `full,oracle,gate:k=2,others=coarse:-4,inside=wave:0.02/1024`.
 */
import { usualBudget } from '../../backend/context/views.ts';
import { UserError } from '../../backend/errors.ts';
import type { Budget, Detail } from '../../backend/engine/native.ts';

export interface Variant {
  /** As it was written. */
  name: string;
  /**
   * What gets full attention: the whole `text` read in sequence, without stored segments, or as much of its beginning
   * as the trained window holds (`cut`); the `pieces` that a search finds, read for each question; all segments; the
   * `right` ones; or those that the gate has `chosen`.
   */
  sees: 'text' | 'cut' | 'pieces' | 'all' | 'right' | 'chosen';
  /** Whether pieces are chosen by an embedding model out of those that share words with the question. */
  embeds: boolean;
  /** How many segments the gate chooses. */
  width: 'auto' | number;
  /** How the segments are attended to that do not get full attention; undefined: not at all. */
  others: { detail: Detail; bias: number } | undefined;
  /** `wave`: the budget says how much is attended exactly. */
  inside: 'exact' | 'wave';
  budget: Budget;
  /** Whether the paths of the visible segments, and where names lead, stand before the question. */
  paths: boolean;
  /** Whether the product answers in its own words, looks again and names paths as it always does. */
  free: boolean;
}

const usual: Omit<Variant, 'name' | 'sees'> = {
  embeds: false,
  width: 'auto',
  others: undefined,
  inside: 'exact',
  budget: usualBudget,
  paths: false,
  free: false,
};

const kinds: Record<string, Partial<Variant> & Pick<Variant, 'sees'>> = {
  full: { sees: 'text' },
  cut: { sees: 'cut' },
  bm25: { sees: 'pieces' },
  rag: { sees: 'pieces', embeds: true },
  exact: { sees: 'all' },
  'all-wave': { sees: 'all', inside: 'wave' },
  oracle: { sees: 'right' },
  gate: { sees: 'chosen' },
  'gate-auto': { sees: 'chosen' },
};

export const variantHelp = `KIND[:OPTION=VALUE,...], joined by commas
  KIND    full | cut | bm25 | rag | exact | all-wave | oracle | gate-auto | gate1, gate2, ...
  k       auto | N                      segments that the gate chooses
  others  mask | coarse[:BIAS] | exact[:BIAS]
  inside  exact | wave:SHARE[/TOKENS]   how the visible segments are attended to
  estimate  on | off    paths  yes | no
  free    yes | no                      the product's own answer, right when it holds the value`;

type Option = (variant: Variant, value: string) => Partial<Variant> | undefined;

const options: Record<string, Option> = {
  k: ({ sees }, value) => {
    const width = value === 'auto' ? value : wholeNumber(value);
    return sees === 'chosen' && width !== undefined ? { width } : undefined;
  },
  others: ({ sees }, value) => {
    if (sees !== 'chosen' && sees !== 'right') return undefined;
    if (value === 'mask') return { others: undefined };
    const [, detail, bias = '-4'] = /^(coarse|exact)(?::(-?\d+(?:\.\d+)?))?$/.exec(value) ?? [];
    return detail ? { others: { detail: detail as Detail, bias: Number(bias) } } : undefined;
  },
  inside: ({ sees, budget }, value) => {
    if (!isStored(sees)) return undefined;
    if (value === 'exact') return { inside: value };
    const [, share, tokens = '0'] = /^wave:([01](?:\.\d+)?)(?:\/(\d+))?$/.exec(value) ?? [];
    if (share === undefined || Number(share) > 1) return undefined;
    return { inside: 'wave', budget: { ...budget, share: Number(share), tokens: Number(tokens) } };
  },
  estimate: ({ budget }, value) =>
    value === 'on' || value === 'off' ? { budget: { ...budget, estimate: value === 'on' } } : undefined,
  paths: ({ sees }, value) =>
    (value === 'yes' || value === 'no') && isStored(sees) ? { paths: value === 'yes' } : undefined,
  free: ({ sees }, value) =>
    (value === 'yes' || value === 'no') && sees === 'chosen' ? { free: value === 'yes' } : undefined,
};

/** Whether attention looks at stored segments. */
function isStored(sees: Variant['sees']): boolean {
  return sees !== 'text' && sees !== 'cut' && sees !== 'pieces';
}

/** @throws UserError that says which part is not understood */
export function parseVariants(text: string): Variant[] {
  const variants: Variant[] = [];
  for (const part of text.split(',').map((part) => part.trim())) {
    // An option has its `=` before any colon.
    const last = variants.at(-1);
    if (last && /^[a-z]+=/.test(part))
      variants[variants.length - 1] = withOption(last, part, `${last.name},${part}`);
    else variants.push(parseOne(part));
  }
  const repeated = variants.find(({ name }, i) => variants.findIndex((other) => other.name === name) < i);
  if (repeated) throw misunderstood(repeated.name, 'is there twice');
  return variants;
}

function parseOne(text: string): Variant {
  const colon = text.indexOf(':');
  const kind = colon < 0 ? text : text.slice(0, colon);
  const [, width] = /^gate(\d+)$/.exec(kind) ?? [];
  const base = kinds[width === undefined ? kind : 'gate'];
  if (!base || !Object.hasOwn(kinds, width === undefined ? kind : 'gate'))
    throw misunderstood(kind, 'is no kind');
  const variant = { ...usual, name: kind, ...base };
  const numbered = width === undefined ? variant : { ...withOption(variant, `k=${width}`, kind), name: kind };
  return colon < 0 ? numbered : withOption(numbered, text.slice(colon + 1), text);
}

function withOption(variant: Variant, text: string, name: string): Variant {
  const [key = '', value = ''] = text.split('=');
  const option = Object.hasOwn(options, key) ? options[key] : undefined;
  const change = option?.(variant, value);
  if (!change) throw misunderstood(text, `means nothing for ${variant.name}`);
  return { ...variant, ...change, name };
}

function wholeNumber(text: string): number | undefined {
  return /^[1-9]\d*$/.test(text) ? Number(text) : undefined;
}

function misunderstood(part: string, why: string): UserError {
  return new UserError('usage', `In --variants, \`${part}\` ${why}: write ${variantHelp}`);
}
