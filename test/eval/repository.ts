/** `npm run eval -- repository`: questions about a tree as it is, whose answers follow from parsing it. */
import path from 'node:path';
import { UserError } from '../../backend/errors.ts';
import { scan } from '../../backend/repo/scan.ts';
import { readText } from '../../backend/repo/text.ts';
import { seeded } from '../unit/repo-helpers.ts';
import type { Corpus, Question, TreeOptions } from './corpus.ts';
import { shuffled } from './planter.ts';
import { factsOf, grammarOf, type Constant, type Definition, type Facts } from './syntax.ts';

/** Of one type and tree. */
const most = 60;
/** Of the source that is to be copied, in characters. */
const copied = { least: 200, most: 700 };
/** Files that are offered when one of them is asked for. */
const offered = 4;

interface Source {
  name: string;
  text: string;
  facts: Facts;
}

type Chance = (bound: number) => number;
type Asked = Omit<Question, 'id' | 'type'>;

/**
 * `defined` where X is, `caller` who calls X, `constant` what X holds, `body` X copied, `imports` which of four files
 * imports X, `edited` what X holds after its file was changed. Names that are not unique are not asked about.
 * @throws UserError for a tree without code in a language that can be parsed
 */
export async function repository({ repo, seed }: Omit<TreeOptions, 'tokens'>): Promise<Corpus> {
  const random = seeded(seed);
  const root = path.resolve(repo);
  const files = new Map<string, string>();
  const sources: Source[] = [];
  for (const { path: name } of (await scan({ root })).files) {
    const text = await readText(root, name);
    files.set(name, text);
    const facts = await factsOf(name, text);
    if (facts) sources.push({ name, text, facts });
  }
  const [constants, changed] = halves(shuffled(uniqueConstants(sources), random));
  const edits = new Map<string, string>();
  const asked: Record<string, Asked[]> = {
    defined: definitions(sources),
    caller: callers(sources),
    constant: constants.map(constantQuestion),
    body: bodies(sources),
    imports: imports(sources, random),
    edited: changed.slice(0, most).map((found) => edited(found, edits, random)),
  };
  const questions = Object.entries(asked).flatMap(([type, all]) =>
    (type === 'edited' ? all : shuffled(all, random).slice(0, most)).map((parts, index): Question => {
      const id = `${type}-${String(index + 1).padStart(3, '0')}`;
      return { id, type: type as Question['type'], ...parts };
    }),
  );
  if (questions.length === 0) {
    throw new UserError(
      'usage',
      `${repo} has no code that questions can be made of: name another tree with --repo.`,
    );
  }
  return { files, edits, questions };
}

const wordsOf = (text: string) => text.match(/[\p{L}_$][\p{L}\p{N}_$]*/gu) ?? [];

/** Definitions of a name that is defined once, and is not short. */
function uniqueDefinitions(sources: readonly Source[]): { source: Source; definition: Definition }[] {
  const all = sources.flatMap((source) =>
    source.facts.definitions.map((definition) => ({ source, definition })),
  );
  const counts = countOf(all.map(({ definition }) => definition.name));
  return all.filter(({ definition: { name } }) => counts.get(name) === 1 && name.length > 4);
}

function definitions(sources: readonly Source[]): Asked[] {
  return uniqueDefinitions(sources).map(({ source, definition: { kind, name } }) => ({
    question: `In which file is the ${kind} \`${name}\` defined?`,
    answerPrefix: `The ${kind} \`${name}\` is defined in the file \``,
    ...{ gold: source.name, paths: [source.name] },
  }));
}

/** Functions that one other function calls. */
function callers(sources: readonly Source[]): Asked[] {
  const unique = uniqueDefinitions(sources);
  const names = new Set(unique.map(({ definition }) => definition.name));
  const calls = sources.flatMap((source) => source.facts.calls.map((call) => ({ ...call, source })));
  return unique.flatMap(({ definition: { kind, name } }) => {
    const found = calls.filter((call) => call.name === name);
    const inside = new Set(found.map((call) => call.inside));
    const [caller = ''] = inside;
    if (kind !== 'function' || inside.size !== 1 || caller === name || !names.has(caller)) return [];
    return [
      {
        question: `Which function calls \`${name}\`?`,
        answerPrefix: `\`${name}\` is called by the function \``,
        ...{ gold: caller, paths: [found[0]!.source.name] },
      },
    ];
  });
}

interface FoundConstant {
  source: Source;
  constant: Constant;
}

function uniqueConstants(sources: readonly Source[]): FoundConstant[] {
  const all = sources.flatMap((source) => source.facts.constants.map((constant) => ({ source, constant })));
  const counts = countOf(all.map(({ constant }) => constant.name));
  return all.filter(({ constant: { name } }) => counts.get(name) === 1);
}

function constantQuestion({ source, constant: { name, value } }: FoundConstant): Asked {
  return {
    question: `Which value does the constant \`${name}\` hold?`,
    answerPrefix: `The value of \`${name}\` is \``,
    ...{ gold: value, paths: [source.name] },
  };
}

/** Gives the constant another number; what stood there before is the wrong answer. */
function edited({ source, constant }: FoundConstant, edits: Map<string, string>, random: Chance): Asked {
  const value = String(10_000 + random(90_000));
  const text = edits.get(source.name) ?? source.text;
  // Earlier edits of the file may have moved the place.
  const declared = new RegExp(`(\\b${constant.name}\\b[^\\n]*?=\\s*)${escape(constant.value)}`);
  edits.set(
    source.name,
    text.replace(declared, (_, before: string) => before + value),
  );
  return constantQuestion({ source, constant: { ...constant, value } });
}

function bodies(sources: readonly Source[]): Asked[] {
  return uniqueDefinitions(sources).flatMap(({ source: { name: file, text }, definition }) => {
    const gold = text.slice(definition.nameEnd, definition.end);
    if (definition.kind !== 'function' || gold.length < copied.least) return [];
    const opening = text.slice(definition.start, definition.nameEnd);
    return [
      {
        question: `Copy the source code of the function \`${definition.name}\` verbatim.`,
        answerPrefix: `\`\`\`${grammarOf(file)!.fence}\n${opening}`,
        ...{ gold: gold.slice(0, copied.most), paths: [file] },
      },
    ];
  });
}

/** One file that imports a name among files that do not even mention it. */
function imports(sources: readonly Source[], random: Chance): Asked[] {
  const words = new Map(sources.map(({ name, text }) => [name, new Set(wordsOf(text))]));
  const defined = new Set(uniqueDefinitions(sources).map(({ definition }) => definition.name));
  return sources.flatMap((source) => {
    const names = shuffled(
      [...source.facts.imports].filter((name) => defined.has(name)),
      random,
    );
    return names.slice(0, 1).flatMap((name): Asked[] => {
      const others = shuffled(
        sources.filter((other) => !words.get(other.name)!.has(name)),
        random,
      );
      if (others.length < offered - 1) return [];
      const listed = shuffled(
        [source, ...others.slice(0, offered - 1)].map((file) => file.name),
        random,
      );
      return [
        {
          question: `Which of these files imports \`${name}\`: ${listed.join(', ')}?`,
          answerPrefix: `The file that imports \`${name}\` is \``,
          ...{ gold: source.name, paths: [source.name] },
        },
      ];
    });
  });
}

function countOf(names: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return counts;
}

function halves<T>(items: readonly T[]): [T[], T[]] {
  return [items.filter((_, i) => i % 2 === 0), items.filter((_, i) => i % 2 === 1)];
}

const escape = (text: string) => text.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&');
