import { posix } from 'node:path';
import * as vscode from 'vscode';
import { t } from './l10n.ts';

/** The folders of this window that lie on a disk. */
export function localFolders(): readonly vscode.WorkspaceFolder[] {
  return (vscode.workspace.workspaceFolders ?? []).filter(({ uri }) => uri.scheme === 'file');
}

/** Picks the folder to ask: the only one, or the one that was chosen before, or the user's choice. */
export class FolderChoice {
  #chosen: vscode.WorkspaceFolder | undefined;

  /** `again`: let the user choose anew. Undefined when there is no folder or the user has turned away. */
  async pick({ again = false } = {}): Promise<vscode.WorkspaceFolder | undefined> {
    const folders = localFolders();
    if (folders.length < 2) return folders[0];
    const chosen = folders.find(({ uri }) => uri.toString() === this.#chosen?.uri.toString());
    if (chosen && !again) return chosen;
    this.#chosen = await vscode.window.showWorkspaceFolderPick({
      placeHolder: t('Which folder shall RepoWave read?'),
      ignoreFocusOut: true,
    });
    return this.#chosen;
  }
}

/** The files of the folder that are open in editors, relative to it, the active one first. */
export function openFiles(folder: vscode.WorkspaceFolder): string[] {
  const { activeTextEditor, visibleTextEditors } = vscode.window;
  const editors = activeTextEditor ? [activeTextEditor, ...visibleTextEditors] : visibleTextEditors;
  return pathsIn(
    folder,
    editors.map(({ document }) => document.uri),
  );
}

/** The files of the folder with changes that are not on disk. */
export function unsavedFiles(folder: vscode.WorkspaceFolder): string[] {
  const dirty = vscode.workspace.textDocuments.filter(({ isDirty }) => isDirty);
  return pathsIn(
    folder,
    dirty.map(({ uri }) => uri),
  );
}

/** Those in the folder, relative to it, each once. */
function pathsIn(folder: vscode.WorkspaceFolder, uris: readonly vscode.Uri[]): string[] {
  const paths = uris
    .filter(({ scheme }) => scheme === 'file')
    .filter((uri) => vscode.workspace.getWorkspaceFolder(uri)?.uri.toString() === folder.uri.toString())
    .map((uri) => posix.relative(folder.uri.path, uri.path));
  return [...new Set(paths)];
}
