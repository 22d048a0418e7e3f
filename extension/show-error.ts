import * as vscode from 'vscode';
import { t } from './l10n.ts';
import { rememberError } from './recent-errors.ts';

/** Tells the user about an error that belongs to no turn of the chat, and the log all of it. */
export async function showError(error: unknown, log: vscode.LogOutputChannel): Promise<void> {
  log.error(error instanceof Error ? error : String(error));
  const message = error instanceof Error ? error.message : String(error);
  rememberError(message);
  const show = await vscode.window.showErrorMessage(message, t('Show Log'));
  if (show) log.show();
}
