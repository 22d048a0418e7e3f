import path from 'node:path';
import * as vscode from 'vscode';
import type { Turn } from '../chat/model.ts';
import type { Ctx } from '../ctx.ts';
import { t } from '../l10n.ts';
import { answerMarkdown, answers, questionOf } from './markdown.ts';

/** Writes an answer with its citations into a new document, or a file of the user's choice. */
export async function exportAnswer({ chat }: Ctx): Promise<void> {
  const turn = await pickAnswer(answers(chat.state.turns));
  if (!turn) return;
  const editor = t('New Editor');
  const file = t('File…');
  const target = await vscode.window.showQuickPick([editor, file], {
    placeHolder: t('Where shall the answer go?'),
  });
  if (target === editor) await show(answerMarkdown(turn));
  if (target === file) await save(turn);
}

async function pickAnswer(turns: Turn[]): Promise<Turn | undefined> {
  if (turns.length === 0) throw new Error(t('There is no answer to export yet: ask a question first.'));
  if (turns.length === 1) return turns[0];
  const items = turns.map((turn) => ({ label: questionOf(turn), turn }));
  const placeHolder = t('Which answer shall be exported?');
  return (await vscode.window.showQuickPick(items, { placeHolder }))?.turn;
}

async function save(turn: Turn): Promise<void> {
  const { root } = turn.activity;
  const target = await vscode.window.showSaveDialog({
    defaultUri: vscode.Uri.file(path.join(root, 'answer.md')),
    filters: { Markdown: ['md'] },
  });
  if (!target) return;
  const folder = path.dirname(target.fsPath);
  const link = (file: string) => path.relative(folder, path.join(root, file)).replaceAll('\\', '/');
  await vscode.workspace.fs.writeFile(target, Buffer.from(answerMarkdown(turn, link)));
  await vscode.window.showTextDocument(target);
}

async function show(content: string): Promise<void> {
  const document = await vscode.workspace.openTextDocument({ language: 'markdown', content });
  await vscode.window.showTextDocument(document);
}
