/** `npm run eval -- needles`: what is hard to copy, planted at ten depths of a text of real code. */
import { chooseFiles, type Corpus, type Question, type TreeOptions } from './corpus.ts';
import { plantLine, shuffled, words, type File } from './planter.ts';
import { seeded } from '../unit/repo-helpers.ts';

const depths = 10;
type Chance = (bound: number) => number;

/**
 * `number` a constant's number, `uuid` and `url` strings behind a key, `twin` the value of one of four keys that differ
 * in their last letter. The id of a question tells the depth in percent.
 */
export async function needles(options: TreeOptions): Promise<Corpus> {
  const random = seeded(options.seed);
  // In the order in which they are read, so that a depth is one.
  const files = (await chooseFiles(options, random)).sort((a, b) => (a.name < b.name ? -1 : 1));
  const keys = shuffled(
    words.flatMap((a) => words.filter((b) => b !== a).map((b) => [a, b] as const)),
    random,
  );
  const questions: Question[] = [];
  for (let step = 0; step < depths; step++) {
    const file = fileAt(files, (step + 0.5) / depths);
    for (const type of ['number', 'uuid', 'url', 'twin'] as const) {
      const [a, b] = keys.pop()!;
      const ask = { number: askNumber, uuid: askString, url: askString, twin: askTwin }[type];
      const parts = ask(file, `${a}-${b}`, { type, files, random });
      questions.push({ id: `${type}-${(step + 0.5) * (100 / depths)}%`, type, paths: [file.name], ...parts });
    }
  }
  return { files: new Map(files.map(({ name, lines }) => [name, lines.join('\n')])), questions };
}

type Asked = Pick<Question, 'question' | 'answerPrefix' | 'gold'>;
interface Around {
  type: 'number' | 'uuid' | 'url' | 'twin';
  files: File[];
  random: Chance;
}

function askNumber(file: File, key: string, { random }: Around): Asked {
  const name = `MAGIC_${key.replace('-', '_').toUpperCase()}`;
  const gold = String(1_000_000 + random(9_000_000));
  plantLine(file, file.language.constant(name, gold), random);
  const question = `What is the numeric value of the constant ${name}?`;
  return { question, answerPrefix: `The value of \`${name}\` is \``, gold };
}

function askString(file: File, key: string, { type, random }: Around): Asked {
  const gold = type === 'uuid' ? uuid(random) : `https://${key}.example.com/v${random(9)}/${hex(random, 8)}`;
  return register(file, `${type}-${key}`, gold, random);
}

/** The others are in files anywhere. */
function askTwin(file: File, key: string, { files, random }: Around): Asked {
  for (const letter of ['a', 'b', 'd'])
    register(files[random(files.length)]!, `${key}-${letter}`, hex(random, 8), random);
  return register(file, `${key}-c`, hex(random, 8), random);
}

function register(file: File, key: string, gold: string, random: Chance): Asked {
  plantLine(file, file.language.register(`register("${key}", "${gold}")`), random);
  const question = `Which value was "${key}" registered with? Answer with the register call.`;
  return { question, answerPrefix: `register("${key}", "`, gold };
}

/** The file in which so much of the text has gone by. */
function fileAt(files: readonly File[], share: number): File {
  const sizes = files.map(({ lines }) => lines.join('\n').length);
  let left = share * sizes.reduce((sum, size) => sum + size, 0);
  return files[
    Math.max(
      0,
      sizes.findIndex((size) => (left -= size) < 0),
    )
  ]!;
}

function hex(random: Chance, digits: number): string {
  return Array.from({ length: digits }, () => random(16).toString(16)).join('');
}

function uuid(random: Chance): string {
  return [hex(random, 8), hex(random, 4), `4${hex(random, 3)}`, `a${hex(random, 3)}`, hex(random, 12)].join(
    '-',
  );
}
