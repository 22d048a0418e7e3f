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
import { Planter, shuffled, withoutDescription } from './planter.ts';

export const questionTypes = ['T1', 'T2', 'T3', 'T4', 'T5', 'T7', 'T8'] as const;

const questionSchema = z.object({
  id: z.string(),
  /**
   * T1 a constant, T2 an id among look-alikes, T3 where a function is defined, T4 a function copied, T5 which file a
   * description is about, T7 two constants of two files in one question, T8 a constant that is set to another one.
   */
  type: z.enum(questionTypes),
  question: z.string(),
  /** How the answer begins. */
  answerPrefix: z.string(),
  /** How it has to go on; of T4 more than is asked. */
  gold: z.string(),
  /** The files that one has to look at. */
  paths: z.array(z.string()),
});

export type Question = z.infer<typeof questionSchema>;
export type QuestionType = Question['type'];

export interface PlantOptions {
  /** The folder that files are taken from. */
  repo: string;
  seed: number;
  /** About so many tokens, reckoned from the bytes. */
  tokens: number;
}

export interface Corpus {
  files: Map<string, string>;
  questions: Question[];
}

/** Of source code, for the vocabularies of today's models. */
const bytesPerToken = 4;
const fileBytes = { least: 1_500, most: 9_000 };
/** What is planted in a file, about. */
const plantedBytes = 250;
const fewestFiles = 4;
const tests = /(?:^|\/)(?:tests?|__tests__|testing)\//;

/**
 * Chooses files and plants lines in them.
 * @throws UserError when the repository has too few source files of the right size, and those of `scan`
 */
export async function plant({ repo, seed, tokens }: PlantOptions): Promise<Corpus> {
  const random = seeded(seed);
  const candidates = (await scan({ root: path.resolve(repo) })).files.filter(
    ({ path: name, bytes }) =>
      languageOf(name) && !tests.test(name) && bytes >= fileBytes.least && bytes <= fileBytes.most,
  );
  const planter = new Planter(random);
  let room = tokens * bytesPerToken;
  for (const { path: name } of shuffled(candidates, random)) {
    const file = withoutDescription(name, await readText(path.resolve(repo), name));
    const bytes = Buffer.byteLength(file.lines.join('\n'));
    if (bytes < fileBytes.least) continue;
    if ((room -= bytes + plantedBytes) < 0) break;
    planter.files.push(file);
  }
  if (planter.files.length < fewestFiles) {
    throw new UserError(
      'usage',
      `${repo} has too few source files of ${fileBytes.least} to ${fileBytes.most} bytes: name a larger repository or ask for more tokens.`,
    );
  }
  return planter.finish();
}

/** Writes the files under `folder`/tree and the questions beside it. @throws UserError for a folder of something else */
export async function writeCorpus(folder: string, { files, questions }: Corpus): Promise<void> {
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
  await writeFile(questionFile, `${JSON.stringify(questions, null, 1)}\n`);
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
