import * as vscode from 'vscode';
import { t } from '../l10n.ts';
import { RULES_FILE } from './rules.ts';

const MESSAGE_MS = 8_000;

export const rulesUri = (root: string): vscode.Uri => vscode.Uri.joinPath(vscode.Uri.file(root), RULES_FILE);

/** The text of the rules, as an editor has it; empty when there are none. */
export async function rulesText(root: string): Promise<string> {
  return (await openRules(root))?.getText() ?? '';
}

/** Changes the rules, through the editor's own history where there are some, so that it can be undone. */
export async function changeRules(root: string, change: (text: string) => string): Promise<void> {
  const document = await openRules(root);
  if (!document) {
    await vscode.workspace.fs.writeFile(rulesUri(root), Buffer.from(change('')));
    return;
  }
  const wasDirty = document.isDirty;
  const edit = new vscode.WorkspaceEdit();
  const all = new vscode.Range(0, 0, document.lineCount, 0);
  edit.replace(document.uri, document.validateRange(all), change(document.getText()));
  await vscode.workspace.applyEdit(edit);
  if (!wasDirty) await document.save();
  // What the user has not saved is not ours to save.
  else vscode.window.setStatusBarMessage(t('Save {0}, so that it holds.', RULES_FILE), MESSAGE_MS);
}

async function openRules(root: string): Promise<vscode.TextDocument | undefined> {
  const uri = rulesUri(root);
  const exists = await vscode.workspace.fs.stat(uri).then(
    () => true,
    () => false,
  );
  return exists ? vscode.workspace.openTextDocument(uri) : undefined;
}
