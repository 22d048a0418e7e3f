import fs from 'node:fs/promises';
import path from 'node:path';
import * as vscode from 'vscode';
import type { Citation } from '../../backend/protocol.ts';
import { t } from '../l10n.ts';
import { resolveInside } from './inside.ts';

/** Opens an editor at a cited place. A path that leads out of the repository is refused. */
export async function openCitation(root: string, { file, startLine, endLine }: Citation): Promise<void> {
  const target = resolveInside(root, file);
  if (!target || !(await staysInside(root, target))) {
    void vscode.window.showWarningMessage(
      t('{0} is not in the folder any more, so it cannot be shown.', file),
    );
    return;
  }
  const document = await openText(target);
  if (!document) {
    void vscode.window.showWarningMessage(t('{0} is gone or no text any more, so it cannot be shown.', file));
    return;
  }
  const last = document.lineAt(Math.min(endLine, document.lineCount) - 1);
  const first = document.lineAt(Math.min(startLine, document.lineCount) - 1);
  const selection = new vscode.Range(first.range.start, last.range.end);
  await vscode.window.showTextDocument(document, { selection, preview: true, preserveFocus: false });
}

/** Undefined for a binary file, and for one that has just been deleted. */
async function openText(file: string): Promise<vscode.TextDocument | undefined> {
  try {
    return await vscode.workspace.openTextDocument(vscode.Uri.file(file));
  } catch {
    return undefined;
  }
}

/** A link in the folder may still lead out of it. */
async function staysInside(root: string, target: string): Promise<boolean> {
  try {
    const [realRoot, realTarget] = await Promise.all([fs.realpath(root), fs.realpath(target)]);
    return resolveInside(realRoot, path.relative(realRoot, realTarget)) !== undefined;
  } catch {
    return false;
  }
}
