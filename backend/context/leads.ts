/** Where the names in a question lead: a constant that is set to another one is answered for where that one is set. */
import { readText } from '../repo/text.ts';
import { isName, namesIn, valueOf } from './names.ts';
import type { Snapshot } from './snapshot.ts';

/** A name, and the segment in which it is set. */
export interface Lead {
  name: string;
  segment: number;
  /** What it is set to, when that is a name too. */
  target: string | undefined;
}

/** Segments in which to look up what a name is set to. */
const mostHolders = 8;
const longestChain = 3;

type Source = Pick<Snapshot, 'segments' | 'lexical'>;

/**
 * From the question's names that are set to other names to where these are set; nothing for names that are not. Files
 * are read from the disk, `without` those segments.
 */
export async function leadsOf(
  question: string,
  root: string,
  snapshot: Source,
  without: ReadonlySet<number>,
): Promise<Lead[]> {
  const chains = await Promise.all(namesIn(question).map((name) => chainOf(name, root, snapshot, without)));
  return chains.filter(({ length }) => length > 1).flat();
}

async function chainOf(first: string, root: string, snapshot: Source, without: ReadonlySet<number>) {
  const chain: Lead[] = [];
  let name: string | undefined = first;
  while (name !== undefined && chain.length < longestChain) {
    const setting = await settingOf(name, root, snapshot, without);
    if (!setting || chain.some((lead) => lead.name === name)) break;
    const target: string | undefined = isName(setting.value) ? setting.value : undefined;
    chain.push({ name, segment: setting.segment, target });
    name = target;
  }
  return chain;
}

/** The first of the segments with a name in which that is set, and to what. */
async function settingOf(name: string, root: string, snapshot: Source, without: ReadonlySet<number>) {
  const holders = snapshot.lexical.holders(name).segments.filter((segment) => !without.has(segment));
  for (const segment of holders.slice(0, mostHolders)) {
    for (const { path, startLine, lines } of snapshot.segments[segment]?.lines.sources ?? []) {
      // A file that has gone since it was indexed tells nothing.
      const text = await readText(root, path).catch(() => '');
      const own = text.split('\n').slice(startLine - 1, startLine - 1 + lines.length);
      const value = valueOf(name, own.join('\n'));
      if (value !== undefined) return { segment, value };
    }
  }
  return undefined;
}
