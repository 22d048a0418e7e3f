/**
 * `npm run eval -- ruler`: tasks after RULER (arXiv 2404.06654) with its templates, code in place of its essays. Answers
 * are free and hold all values, as its `string_match_all` asks, but count only as a whole.
 */
import { seeded } from '../unit/repo-helpers.ts';
import { chooseFiles, type Corpus, type Question, type TreeOptions } from './corpus.ts';
import { plantLine, shuffled, words, type File } from './planter.ts';

type Chance = (bound: number) => number;
type Asked = Pick<Question, 'question' | 'answerPrefix' | 'paths' | 'room'> & { golds: string[] };
type Task = (tools: Tools) => Asked;

interface Tools {
  random: Chance;
  /** Code that lines are hidden in, as comments. @returns the file */
  hide: (line: string) => File;
  /** A file of its own. @returns its path */
  add: (name: string, text: string) => string;
  /** A new `adjective-noun`. */
  key: () => string;
}

const tasks: [Question['type'], count: number, Task][] = [
  ['single', 4, niah({ queries: 1, values: 1, others: 0 })],
  ['multikey', 4, niah({ queries: 1, values: 1, others: 3 })],
  ['multivalue', 3, niah({ queries: 1, values: 4, others: 0 })],
  ['multiquery', 3, niah({ queries: 4, values: 1, others: 0 })],
  ['vt', 3, tracking],
  ['cwe', 1, commonWords],
  ['fwe', 1, frequentWords],
];

export async function ruler(options: TreeOptions): Promise<Corpus> {
  const random = seeded(options.seed);
  const files = await chooseFiles(options, random);
  const texts = new Map<string, string>();
  const keys = shuffled(
    words.flatMap((a) => words.filter((b) => b !== a).map((b) => `${a}-${b}`)),
    random,
  );
  const tools: Tools = {
    random,
    hide: (line) => {
      const file = files[random(files.length)]!;
      plantLine(file, `${file.language.fence === 'python' ? '#' : '//'} ${line}`, random);
      return file;
    },
    add: (name, text) => {
      texts.set(name, text);
      return name;
    },
    key: () => keys.pop()!,
  };
  const questions = tasks.flatMap(([type, count, task]) =>
    Array.from({ length: count }, (_, index): Question => {
      const asked = task(tools);
      return { id: `${type}-${index + 1}`, type, gold: asked.golds[0]!, ...asked };
    }),
  );
  for (const { name, lines } of files) texts.set(name, lines.join('\n'));
  return { files: texts, questions };
}

function niah({ queries, values, others }: Record<'queries' | 'values' | 'others', number>): Task {
  return ({ random, hide, key }) => {
    const number = () => String(1_000_000 + random(9_000_000));
    const needle = (name: string, value: string) =>
      hide(`One of the special magic numbers for ${name} is: ${value}.`);
    const paths = new Set<string>();
    const golds: string[] = [];
    const names = Array.from({ length: queries }, key);
    for (const name of names)
      for (let i = 0; i < values; i++) {
        golds.push(number());
        paths.add(needle(name, golds.at(-1)!).name);
      }
    for (let i = 0; i < others; i++) needle(key(), number());
    const query = names.length > 1 ? `${names.slice(0, -1).join(', ')}, and ${names.at(-1)}` : names[0]!;
    const single = golds.length === 1;
    return {
      question: single
        ? `What is the special magic number for ${query} mentioned in the provided text?`
        : `What are all the special magic numbers for ${query} mentioned in the provided text?`,
      answerPrefix: single
        ? `The special magic number for ${query} mentioned in the provided text is`
        : `The special magic numbers for ${query} mentioned in the provided text are`,
      ...{ golds, paths: [...paths], room: single ? 16 : 64 },
    };
  };
}

/** Four variables that are set to one another after a first one, all in one file as the chain has an order. */
function tracking({ random, add, key }: Tools): Asked {
  const letters = () => Array.from({ length: 5 }, () => String.fromCharCode(65 + random(26))).join('');
  const golds = Array.from({ length: 5 }, letters);
  const value = 10_000 + random(90_000);
  const noise = 'The grass is green. The sky is blue. The sun is yellow. Here we go. There and back again.';
  const lines = golds.flatMap((name, i) => [
    ...Array.from({ length: 4 }, () => noise),
    `VAR ${name} = ${i === 0 ? value : `VAR ${golds[i - 1]}`}`,
  ]);
  return {
    question: `Find all variables that are assigned the value ${value} in the text above.`,
    answerPrefix: `According to the chain(s) of variable assignment in the text above, 5 variables are assgined the value ${value}, they are: `,
    ...{ golds, paths: [add(`notes/${key()}.txt`, `${lines.join('\n')}\n`)], room: 40 },
  };
}

/** Ten words thirty times each among forty words three times each. */
function commonWords({ random, add }: Tools): Asked {
  const all = shuffled(words, random);
  const golds = all.slice(0, 10);
  const rare = all.slice(10).flatMap((word) => [word, `${word}s`]);
  const list = shuffled(
    [...golds.flatMap((w) => Array<string>(30).fill(w)), ...rare.flatMap((w) => [w, w, w])],
    random,
  );
  const text = list.map((word, i) => `${i + 1}. ${word}`).join(' ');
  return {
    question: 'What are the 10 most common words in the numbered list of words in notes/list.txt?',
    answerPrefix: 'The top 10 words that appear most often in the list are:',
    ...{ golds, paths: [add('notes/list.txt', `${text}\n`)], room: 120 },
  };
}

/** Coded words of six letters, the r-th most frequent one n/r² times; the most frequent one is written as dots. */
function frequentWords({ random, add }: Tools): Asked {
  const coded = () => Array.from({ length: 6 }, () => String.fromCharCode(97 + random(26))).join('');
  const vocabulary = ['...', ...Array.from({ length: 24 }, coded)];
  const list = shuffled(
    vocabulary.flatMap((word, rank) =>
      Array<string>(Math.max(1, Math.round(360 / (rank + 1) ** 2))).fill(word),
    ),
    random,
  );
  return {
    question:
      "Do not provide any explanation. Please ignore the dots '....'. What are the three most frequently appeared words in the coded text in notes/coded.txt?",
    answerPrefix: 'According to the coded text above, the three most frequently appeared words are:',
    ...{ golds: vocabulary.slice(1, 4), paths: [add('notes/coded.txt', `${list.join(' ')}\n`)], room: 50 },
  };
}
