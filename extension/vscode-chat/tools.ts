/** Tools for any agent: `#repo` asks the whole repository, `#evidence` finds where to look without an answer. */
import fs from 'node:fs/promises';
import * as vscode from 'vscode';
import { AskRequest, FindRequest } from '../../backend/protocol.ts';
import { resolveInside } from '../chat/inside.ts';
import { t } from '../l10n.ts';
import type { Session } from '../session.ts';
import { answerText, foundText } from './tool-text.ts';
import type { Excerpt } from './tool-text.ts';

interface Question {
  question: string;
}

export function registerTools(session: Session): vscode.Disposable {
  return vscode.Disposable.from(
    vscode.lm.registerTool<Question>('repowave_ask', {
      prepareInvocation: ({ input }) => ({
        invocationMessage: t('Asking the repository: {0}', input.question),
      }),
      invoke: async ({ input }, token) => {
        const asked = await session.inFolder(AskRequest, { question: input.question }, token);
        return textResult(asked && answerText(asked.result));
      },
    }),
    vscode.lm.registerTool<Question & { limit?: number }>('repowave_evidence', {
      prepareInvocation: ({ input }) => ({
        invocationMessage: t('Looking for evidence: {0}', input.question),
      }),
      invoke: async ({ input: { question, limit } }, token) => {
        const found = await session.inFolder(FindRequest, { question, limit }, token);
        return textResult(found && foundText(found.result, await excerpts(found)));
      },
    }),
  );
}

/** Nothing comes when the user has cancelled or has no folder open. */
function textResult(text: string | undefined): vscode.LanguageModelToolResult {
  if (text === undefined) throw new Error('Nothing was asked: no folder is open, or it was cancelled.');
  return new vscode.LanguageModelToolResult([new vscode.LanguageModelTextPart(text)]);
}

/** The text of the places, where a place is in one file. */
async function excerpts({
  root,
  result,
}: {
  root: string;
  result: { segments: { paths: string[]; startLine: number; endLine: number }[] };
}): Promise<Excerpt[]> {
  const read = result.segments.map(async ({ paths, startLine, endLine }) => {
    const [file] = paths;
    const target = file !== undefined && paths.length === 1 && resolveInside(root, file);
    if (!target) return [];
    // A file may have gone since.
    const text = await fs.readFile(target, 'utf8').catch(() => undefined);
    if (text === undefined) return [];
    return [{ file, startLine, lines: text.split('\n').slice(startLine - 1, endLine) }];
  });
  return (await Promise.all(read)).flat();
}
