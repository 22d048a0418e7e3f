import { posix } from 'node:path';
import * as vscode from 'vscode';
import { ChangesRequest, IndexRequest } from '../../backend/protocol.ts';
import { localFolders, unsavedFiles } from '../folders.ts';
import type { Session } from '../session.ts';

/** Changes come in bursts: a checkout touches thousands of files. */
const SETTLE_MS = 500;
/** Their changes say nothing about the text of the repository. */
const OF_NO_INTEREST = /\/(\.git|\.hg|\.svn|node_modules)\//;

export function registerFresh(
  extension: vscode.ExtensionContext,
  session: Session,
  log: vscode.LogOutputChannel,
): void {
  extension.subscriptions.push(new Fresh(session, log));
}

/**
 * Follows what becomes of the files after they were read, and has the backend read again what the user saves, while
 * nobody asks. Begins with the first context of the window.
 */
class Fresh implements vscode.Disposable {
  readonly #parts: vscode.Disposable[];
  #folder: vscode.WorkspaceFolder | undefined;
  #watcher: vscode.FileSystemWatcher | undefined;
  #settle: NodeJS.Timeout | undefined;
  /** Something has changed while the backend was looking. */
  #again = false;
  /** Files that had unsaved changes when they were last told. */
  #unsaved = new Set<string>();
  /** Files that the user has saved and that are not read again yet. */
  readonly #saved = new Set<string>();
  #reading: vscode.CancellationTokenSource | undefined;

  constructor(
    private readonly session: Session,
    private readonly log: vscode.LogOutputChannel,
  ) {
    this.#parts = [
      session.onEvent((event) => {
        if (event.type === 'started') this.#follow(event.activity.root);
        if (event.type === 'answered' || event.type === 'read') this.#look();
      }),
      vscode.workspace.onDidChangeTextDocument(({ document }) => this.#edit(document)),
      vscode.workspace.onDidCloseTextDocument(({ uri }) => this.#look(uri)),
      vscode.workspace.onDidSaveTextDocument(({ uri }) => this.#save(uri)),
    ];
  }

  dispose(): void {
    clearTimeout(this.#settle);
    this.#reading?.cancel();
    this.#watcher?.dispose();
    for (const part of this.#parts) part.dispose();
  }

  #follow(root: string): void {
    if (this.#folder?.uri.fsPath === root) return;
    this.#folder = localFolders().find(({ uri }) => uri.fsPath === root);
    this.#watcher?.dispose();
    this.#watcher = undefined;
    this.#saved.clear();
    if (!this.#folder) return;
    const watcher = vscode.workspace.createFileSystemWatcher(
      new vscode.RelativePattern(this.#folder, '**/*'),
    );
    this.#watcher = watcher;
    for (const on of [watcher.onDidChange, watcher.onDidCreate, watcher.onDidDelete])
      on((uri) => this.#look(uri));
  }

  /** The backend is asked when a file begins or ceases to have unsaved changes, and not for every key. */
  #edit({ uri, isDirty }: vscode.TextDocument): void {
    const path = this.#pathOf(uri);
    if (path !== undefined && isDirty !== this.#unsaved.has(path)) this.#look(uri);
  }

  #save(uri: vscode.Uri): void {
    const path = this.#pathOf(uri);
    if (path === undefined) return;
    this.#saved.add(path);
    this.#look(uri);
  }

  /** Asks, soon, what has changed; `uri`: because of this file. */
  #look(uri?: vscode.Uri): void {
    if (uri && this.#pathOf(uri) === undefined) return;
    if (this.#settle) this.#again = true;
    else this.#settle = setTimeout(() => void this.#settled(), SETTLE_MS);
  }

  async #settled(): Promise<void> {
    this.#again = false;
    await this.#compare().catch((error: unknown) =>
      this.log.debug(`While looking for changes: ${String(error)}`),
    );
    this.#settle = undefined;
    if (this.#again) this.#look();
  }

  async #compare(): Promise<void> {
    const folder = this.#folder;
    if (!folder || !this.session.running) return;
    const unsaved = unsavedFiles(folder);
    this.#unsaved = new Set(unsaved);
    const params = { ...this.session.params(folder), unsaved };
    const source = new vscode.CancellationTokenSource();
    const report = await this.session.request(ChangesRequest, params, source.token);
    if (!report || folder !== this.#folder) return;
    this.session.report({ type: 'changed', ...report });
    const again = report.changed.filter((path) => this.#saved.has(path));
    this.#saved.clear();
    if (again.length > 0) void this.#read(folder, again);
  }

  /** A later save begins anew, with what this one has left. */
  async #read(folder: vscode.WorkspaceFolder, only: string[]): Promise<void> {
    this.#reading?.cancel();
    const source = new vscode.CancellationTokenSource();
    this.#reading = source;
    source.token.onCancellationRequested(() => only.forEach((path) => this.#saved.add(path)));
    const params = { ...this.session.params(folder), only };
    const result = await this.session.request(IndexRequest, params, source.token).catch(() => undefined); // logged
    if (this.#reading === source) this.#reading = undefined;
    if (result) this.#look();
  }

  /** Relative to the folder; undefined for what is not in it. */
  #pathOf({ scheme, path }: vscode.Uri): string | undefined {
    if (!this.#folder || scheme !== 'file' || OF_NO_INTEREST.test(path)) return undefined;
    const relative = posix.relative(this.#folder.uri.path, path);
    return relative === '' || relative.startsWith('../') ? undefined : relative;
  }
}
