/**
 * A copy of some files of a repository with lines planted in it, and questions whose answers are therefore known.
 * Everything follows from the tree, the seed and the size.
 */
import { mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { UserError } from '../../backend/errors.ts';
import { scan } from '../../backend/repo/scan.ts';
import { readText } from '../../backend/repo/text.ts';
import { seeded } from '../unit/repo-helpers.ts';
import { languageOf } from './languages.ts';
import { Planter, shuffled, withoutDescription, type File } from './planter.ts';

/** What {@link plant} asks. */
export const questionTypes = ['T1', 'T2', 'T3', 'T4', 'T5', 'T7', 'T8'] as const;
export const needleTypes = ['number', 'uuid', 'url', 'twin'] as const;
export const repositoryTypes = ['defined', 'caller', 'constant', 'body', 'imports', 'edited'] as const;
export const rulerTypes = ['single', 'multikey', 'multivalue', 'multiquery', 'vt', 'cwe', 'fwe'] as const;
export const allTypes = [...questionTypes, ...needleTypes, ...repositoryTypes, ...rulerTypes] as const;

const questionSchema = z.object({
  id: z.string(),
  /**
   * T1 a constant, T2 an id among look-alikes, T3 where a function is defined, T4 a function copied, T5 which file a
   * description is about, T7 two constants of two files in one question, T8 a constant that is set to another one.
   * The others are described where they are made.
   */
  type: z.enum(allTypes),
  question: z.string(),
  /** How the answer begins. */
  answerPrefix: z.string(),
  /** How it has to go on; of T4 more than is asked. */
  gold: z.string(),
  /** All that a free answer of at most `room` tokens has to hold, in any order; `gold` is then the first of them. */
  golds: z.array(z.string()).optional(),
  room: z.number().optional(),
  /** The files that one has to look at. */
  paths: z.array(z.string()),
});

export type Question = z.infer<typeof questionSchema>;
export type QuestionType = Question['type'];

/** A tree that a suite makes questions about. */
export interface TreeOptions {
  /** The folder that files are taken from. */
  repo: string;
  seed: number;
  /** About so many tokens, reckoned from the bytes. */
  tokens: number;
}

export interface Corpus {
  files: Map<string, string>;
  /** What files become after they have been read once: the questions are about the tree as it is then. */
  edits?: Map<string, string>;
  questions: Question[];
}

/** Of source code, for the vocabularies of today's models. */
const bytesPerToken = 4;
const fileBytes = { least: 1_500, most: 9_000 };
/** What is planted in a file, about. */
const plantedBytes = 250;
const fewestFiles = 4;
const editsFile = 'edits.json';
const tests = /(?:^|\/)(?:tests?|__tests__|testing)\//;

/**
 * Chooses files and plants lines in them.
 * @throws UserError when the repository has too few source files of the right size, and those of `scan`
 */
export async function plant(options: TreeOptions): Promise<Corpus> {
  const random = seeded(options.seed);
  const planter = new Planter(random);
  planter.files.push(...(await chooseFiles(options, random)));
  return planter.finish();
}

/** Some source files of the right size in the order of chance. @throws UserError as {@link plant} */
export async function chooseFiles(
  { repo, tokens }: TreeOptions,
  random: (bound: number) => number,
): Promise<File[]> {
  const candidates = (await scan({ root: path.resolve(repo) })).files.filter(
    ({ path: name, bytes }) =>
      languageOf(name) && !tests.test(name) && bytes >= fileBytes.least && bytes <= fileBytes.most,
  );
  const files: File[] = [];
  let room = tokens * bytesPerToken;
  for (const { path: name } of shuffled(candidates, random)) {
    const file = withoutDescription(name, await readText(path.resolve(repo), name));
    const bytes = Buffer.byteLength(file.lines.join('\n'));
    if (bytes < fileBytes.least) continue;
    if ((room -= bytes + plantedBytes) < 0) break;
    files.push(file);
  }
  if (files.length < fewestFiles) {
    throw new UserError(
      'usage',
      `${repo} has too few source files of ${fileBytes.least} to ${fileBytes.most} bytes: name a larger repository or ask for more tokens.`,
    );
  }
  return files;
}

/** Writes the files under `folder`/tree and the questions beside it. @throws UserError for a folder of something else */
export async function writeCorpus(folder: string, { files, edits, questions }: Corpus): Promise<void> {
  const tree = path.join(folder, 'tree');
  const questionFile = path.join(folder, 'questions.json');
  if ((await exists(tree)) && !(await exists(questionFile))) {
    throw new UserError('usage', `${tree} is no planted tree: name another folder with --out.`);
  }
  await rm(tree, { recursive: true, force: true });
  for (const [name, text] of files) {
    const file = path.join(tree, name);
    await mkdir(path.dirname(file), { recursive: true });
    await writeFile(file, text);
  }
  await writeFile(path.join(folder, editsFile), JSON.stringify([...(edits ?? [])]));
  await writeFile(questionFile, `${JSON.stringify(questions, null, 1)}\n`);
}

/** Changes the tree as its corpus says. @returns how many files */
export async function applyEdits(folder: string): Promise<number> {
  const file = path.join(folder, editsFile);
  if (!(await exists(file))) return 0;
  const edits = JSON.parse(await readFile(file, 'utf8')) as [string, string][];
  for (const [name, text] of edits) await writeFile(path.join(folder, 'tree', name), text);
  return edits.length;
}

/** @throws UserError for a folder that {@link writeCorpus} has not written */
export async function readQuestions(folder: string): Promise<Question[]> {
  try {
    return z
      .array(questionSchema)
      .parse(JSON.parse(await readFile(path.join(folder, 'questions.json'), 'utf8')));
  } catch (error) {
    throw new UserError(
      'usage',
      `${folder} holds no planted corpus: make one with \`npm run eval -- plant\`.`,
      {
        cause: error,
      },
    );
  }
}

const exists = async (file: string) => (await stat(file).catch(() => undefined)) !== undefined;
