import * as vscode from 'vscode';
import { backendScript } from '../ctx.ts';
import { t } from '../l10n.ts';
import { shareFile, startBackend } from './process.ts';
import type { BackendProcess } from './process.ts';
import { attachTo } from './remote.ts';

const TOKEN = 'repowave.backend.token';

export type StartBackend = (onLog: (line: string) => void) => Promise<BackendProcess>;

/** The backend of the settings: one of this machine, shared by all windows, or that of an address. */
export function backendStarter(extension: vscode.ExtensionContext): StartBackend {
  return async (onLog) => {
    const url = backendUrl();
    if (url) return attachTo(url, await extension.secrets.get(TOKEN));
    const script = backendScript(extension);
    return startBackend(script, shareFile(extension.globalStorageUri.fsPath, script), onLog);
  };
}

export function backendUrl(): string {
  return vscode.workspace.getConfiguration('repowave').get<string>('backend.url')?.trim() ?? '';
}

/** Asks for the token of the backend elsewhere; false when the user has turned away. */
export async function enterToken(extension: vscode.ExtensionContext): Promise<boolean> {
  const token = await vscode.window.showInputBox({
    title: t('Token of the Backend'),
    prompt: t('`repowave serve` prints it. It is kept in the secret storage of VS Code.'),
    password: true,
    ignoreFocusOut: true,
  });
  if (token === undefined) return false;
  await extension.secrets.store(TOKEN, token.trim());
  return true;
}
