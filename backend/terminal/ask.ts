/** The commands that ask and index. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import type { Client } from '../client.ts';
import { UserError } from '../errors.ts';
import { AskRequest, ErrorCode, IndexRequest } from '../protocol.ts';
import type { AskParams, Progress, RepositoryParams } from '../protocol.ts';
import { PhaseDisplay } from './phases.ts';
import { answerReport, indexReport, jsonLine } from './report.ts';
import { painter, printable, printableName } from './text.ts';

export interface Question {
  id: string;
  question: string;
}

const questionLine = z.object({
  id: z.union([z.string(), z.number()]).transform(String),
  question: z.string(),
});

/**
 * The questions of a JSONL file, `{"id","question"}` a line.
 * @throws UserError `usage`
 */
export async function readQuestions(file: string): Promise<Question[]> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    throw new UserError('usage', `The questions file ${file} cannot be read: check the path.`, {
      cause: error,
    });
  });
  const questions = text
    .split('\n')
    .map((line, index) => ({ line: line.trim(), number: index + 1 }))
    .filter(({ line }) => line !== '')
    .map(({ line, number }) => parseQuestion(line, `${file}:${number}`));
  if (questions.length === 0) {
    throw new UserError('usage', `The questions file ${file} is empty: give it {"id","question"} lines.`);
  }
  return questions;
}

function parseQuestion(line: string, where: string): Question {
  try {
    return questionLine.parse(JSON.parse(line));
  } catch (error) {
    throw new UserError('usage', `${where} is not a line like {"id":"1","question":"…"}: correct it.`, {
      cause: error,
    });
  }
}

/**
 * A file that the user works on may be left out of the reading; one that is not there is a slip.
 * @param root of the repository; whether it is there itself is the backend's to say
 * @throws UserError `usage`
 */
export function requireFiles(files: readonly string[], root: string): void {
  const absent = files.find((file) => existsSync(root) && !existsSync(path.resolve(root, file)));
  if (absent === undefined) return;
  throw new UserError('usage', `There is no file ${absent}: give --focus a path relative to the repository.`);
}

/**
 * Answers the questions one by one on stdout. One that cannot be asked is reported and the others go on.
 * @returns the exit code
 * @throws UserError for everything that would stop the other questions too
 */
export async function runAsk(
  client: Client,
  questions: Question[],
  params: Omit<AskParams, 'question'>,
  { json, signal }: { json: boolean; signal: AbortSignal },
): Promise<number> {
  let exitCode = 0;
  for (const question of questions) {
    if (!json && questions.length > 1)
      process.stdout.write(`${painter(process.stdout)('bold', `> ${printableName(question.question)}`)}\n`);
    try {
      await askOne(client, question, params, { json, signal });
    } catch (error) {
      const single = error instanceof UserError && ['questionEmpty', 'questionTooLong'].includes(error.code);
      if (!single || questions.length === 1) throw error;
      process.stderr.write(`Question ${printableName(question.id)}: ${printableName(error.message)}\n`);
      exitCode ||= ErrorCode[error.code];
    }
  }
  return exitCode;
}

async function askOne(
  client: Client,
  { id, question }: Question,
  params: Omit<AskParams, 'question'>,
  { json, signal }: { json: boolean; signal: AbortSignal },
): Promise<void> {
  const display = new PhaseDisplay();
  const onProgress = (value: Progress) => {
    if (value.kind === 'phase') return display.show(value);
    display.clear();
    if (value.kind === 'text' && !json) process.stdout.write(printable(value.text));
  };
  try {
    const result = await client.request(AskRequest, { ...params, question }, { signal, onProgress });
    process.stdout.write(
      json ? `${jsonLine(id, question, result)}\n` : `\n\n${answerReport(result, painter(process.stdout))}\n`,
    );
  } finally {
    display.clear();
  }
}

/** Reads the repository into the store and says what is in context. */
export async function runIndex(
  client: Client,
  repository: RepositoryParams,
  { json, verbose, signal }: { json: boolean; verbose: boolean; signal: AbortSignal },
): Promise<void> {
  const display = new PhaseDisplay();
  const onProgress = (value: Progress) => {
    if (value.kind === 'phase') display.show(value);
  };
  try {
    const result = await client.request(IndexRequest, repository, { signal, onProgress });
    display.clear();
    process.stdout.write(json ? `${JSON.stringify(result)}\n` : indexReport(result, verbose));
  } finally {
    display.clear();
  }
}
