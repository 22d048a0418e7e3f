/** What is planted in a corpus, and what is asked about it. */
import { UserError } from '../../backend/errors.ts';
import type { Corpus, Question, QuestionType } from './corpus.ts';
import { describe } from './describe.ts';
import { languageOf, type Language } from './languages.ts';

/** A file that lines are planted in. */
export interface File {
  name: string;
  language: Language;
  lines: string[];
  description?: string;
}

interface Constant {
  file: File;
  name: string;
  value: string;
}

export const words =
  'falcon otter cedar quartz maple harbor ember willow cobalt raven lotus comet delta onyx prairie canyon meadow glacier tundra saffron indigo velvet copper walnut juniper marble cricket badger heron lynx'.split(
    ' ',
  );
const planted = /\n.*(?:MAGIC_|register\("svc-)/;
const mostPairs = 12;
/** Of the source that T4 asks for, in characters. */
const copied = { least: 250, most: 700 };

/** Plants lines in files and asks about them, and about what was there before. */
export class Planter {
  readonly files: File[] = [];
  readonly #questions: Question[] = [];
  readonly #random: (bound: number) => number;
  /** Pairs of words that no name has been made of yet. */
  readonly #names: [string, string][];

  constructor(random: (bound: number) => number) {
    this.#random = random;
    const pairs = words.flatMap((a) => words.filter((b) => b !== a).map((b): [string, string] => [a, b]));
    this.#names = shuffled(pairs, random);
  }

  /** To be called once, when all files are there. */
  finish(): Corpus {
    const constants = this.files.flatMap((file, i) => this.#constants(file, 1 + (i % 2)));
    for (const file of this.files) this.#registrations(file);
    this.#pairs(constants);
    this.#hops();
    this.#functions();
    this.#descriptions();
    const files = new Map(this.files.map(({ name, lines }) => [name, lines.join('\n')]));
    return { files, questions: this.#questions };
  }

  /** T1 */
  #constants(file: File, count: number): Constant[] {
    return Array.from({ length: count }, () => {
      const constant = { file, name: this.#constantName(), value: this.#number() };
      this.#plant(file, file.language.constant(constant.name, constant.value));
      this.#ask('T1', [file], {
        question: `What is the numeric value of the constant ${constant.name}?`,
        answerPrefix: valueOf(constant.name),
        gold: constant.value,
      });
      return constant;
    });
  }

  /** T2: one of three is asked. */
  #registrations(file: File): void {
    for (let i = 0; i < 3; i++) {
      const name = `svc-${this.#pair().join('-')}`;
      const id = Array.from({ length: 8 }, () => this.#random(16).toString(16)).join('');
      this.#plant(file, file.language.register(`register("${name}", "${id}")`));
      if (i !== 1) continue;
      this.#ask('T2', [file], {
        question: `Which id was "${name}" registered with? Answer with the register call.`,
        answerPrefix: `register("${name}", "`,
        gold: id,
      });
    }
  }

  /** T7: the second value is asked when the first has been said. */
  #pairs(constants: Constant[]): void {
    const mixed = shuffled(constants, this.#random);
    for (let pair = 0; pair < mostPairs; pair++) {
      const [a, b] = [mixed.pop(), mixed.pop()];
      if (!a || !b) return;
      if (a.file === b.file) continue;
      const question = `What are the numeric values of the constants ${a.name} and ${b.name}?`;
      const first = valueOf(a.name);
      const second = `${first}${a.value}\` and the value of \`${b.name}\` is \``;
      this.#ask('T7', [a.file, b.file], { question, answerPrefix: first, gold: a.value });
      this.#ask('T7', [a.file, b.file], { question, answerPrefix: second, gold: b.value });
    }
  }

  /** T8 */
  #hops(): void {
    const mixed = shuffled(this.files, this.#random);
    for (let i = 0; i < mostPairs && 2 * i + 1 < mixed.length; i++) {
      const [from, to] = [mixed[2 * i]!, mixed[2 * i + 1]!];
      const [name, other, value] = [this.#constantName(), this.#constantName(), this.#number()];
      this.#plant(from, from.language.constant(name, other));
      this.#plant(to, to.language.constant(other, value));
      this.#ask('T8', [from, to], {
        question: `What is the numeric value of the constant ${name}?`,
        answerPrefix: valueOf(name),
        gold: value,
      });
    }
  }

  /** T3 and T4: functions that only one file defines. */
  #functions(): void {
    const definitions = this.files.map(({ language, lines }) => [
      ...lines.join('\n').matchAll(language.functions),
    ]);
    const all = definitions.flat().map(([, name]) => name);
    const once = definitions.map((found) =>
      found.filter(([, name]) => all.filter((x) => x === name).length === 1),
    );
    this.files.forEach((file, i) => {
      const asked = this.#pick(once[i]!.filter(([, name]) => name!.length > 4));
      if (!asked) return;
      this.#ask('T3', [file], {
        question: `In which file is the function \`${asked[1]}\` defined?`,
        answerPrefix: `The function \`${asked[1]}\` is defined in the file \``,
        gold: file.name,
      });
    });
    this.files.forEach((file, i) => {
      const text = file.lines.join('\n');
      const bodies = once[i]!.map((match) => copyOf(text, match, file.language)).filter(
        ({ gold }) => gold.length >= copied.least,
      );
      const asked = this.#pick(bodies);
      if (!asked) return;
      this.#ask('T4', [file], {
        question: `Copy the source code of the function \`${asked.name}\` verbatim.`,
        answerPrefix: `\`\`\`${file.language.fence}\n${asked.opening}`,
        gold: asked.gold.slice(0, copied.most),
      });
    });
  }

  /** T5 */
  #descriptions(): void {
    for (const file of this.files) {
      const { description } = file;
      if (description === undefined || this.files.some(({ lines }) => says(lines, description))) continue;
      if (this.files.some((other) => other !== file && other.description === description)) continue;
      this.#ask('T5', [file], {
        question: `Which file holds the code for this: ${description}?`,
        answerPrefix: 'It is implemented in the file `',
        gold: file.name,
      });
    }
  }

  #ask(type: QuestionType, files: File[], parts: Pick<Question, 'question' | 'answerPrefix' | 'gold'>): void {
    const number = this.#questions.filter((question) => question.type === type).length + 1;
    const id = `${type}-${String(number).padStart(3, '0')}`;
    this.#questions.push({ id, type, ...parts, paths: files.map(({ name }) => name) });
  }

  #plant(file: File, line: string): void {
    plantLine(file, line, this.#random);
  }

  #pick<T>(items: readonly T[]): T | undefined {
    return items.length > 0 ? items[this.#random(items.length)] : undefined;
  }

  #pair(): [string, string] {
    const pair = this.#names.pop();
    if (!pair) throw new UserError('usage', 'The names to plant are used up: ask for fewer tokens.');
    return pair;
  }

  #constantName(): string {
    return `MAGIC_${this.#pair().join('_').toUpperCase()}`;
  }

  #number(): string {
    return String(10_000 + this.#random(90_000));
  }
}

const valueOf = (name: string) => `The value of \`${name}\` is \``;

/** Puts a line between two parts of a file, indented like the second, or at the end. */
export function plantLine({ lines }: File, line: string, random: (bound: number) => number): void {
  const places = lines.flatMap((_, i) => (isBetweenParts(lines, i) ? [i] : []));
  const place = places.length > 0 ? places[random(places.length)]! : lines.length;
  const [indentation] = /^\s*/.exec(lines[place + 1] ?? '')!;
  lines.splice(place, 0, indentation + line);
}

/** A file without the first comment that makes a description. */
export function withoutDescription(name: string, text: string): File {
  const language = languageOf(name);
  if (!language) throw new Error(`${name} is in no language that lines can be planted in.`);
  for (const match of language.docs ? text.matchAll(language.docs) : []) {
    const description = describe(match[1]!);
    if (description === undefined) continue;
    const rest = text.slice(0, match.index) + text.slice(match.index + match[0].length);
    return { name, language, lines: rest.split('\n'), description };
  }
  return { name, language, lines: text.split('\n') };
}

/** Whether these lines still hold the beginning of a description. */
function says(lines: string[], description: string): boolean {
  const plain = (text: string) => text.toLowerCase().replace(/[^a-z]+/g, ' ');
  return plain(lines.join(' ')).includes(plain(description).slice(0, 40));
}

/** An empty line, outside of comments, with code behind it. */
function isBetweenParts(lines: string[], i: number): boolean {
  if (i < 3 || lines[i] !== '' || !/^\s*[^\s})\]]/.test(lines[i + 1] ?? '')) return false;
  const before = lines.slice(0, i).join('\n');
  return (before.split('"""').length - 1) % 2 === 0 && before.lastIndexOf('/*') <= before.lastIndexOf('*/');
}

/** A function up to its name, and what follows: to its end, or to a planted line. */
function copyOf(text: string, match: RegExpExecArray, { end }: Language) {
  const nameEnd = match.indices![1]![1];
  const rest = text.slice(nameEnd);
  const found = end.exec(rest);
  const body = found ? rest.slice(0, found.index + found[0].length) : rest;
  const opening = text.slice(match.index, nameEnd);
  return { name: match[1]!, opening, gold: body.split(planted)[0]! };
}

export function shuffled<T>(items: readonly T[], random: (bound: number) => number): T[] {
  const result = [...items];
  for (let i = result.length - 1; i > 0; i--) {
    const j = random(i + 1);
    [result[i], result[j]] = [result[j]!, result[i]!];
  }
  return result;
}
