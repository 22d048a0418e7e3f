import * as vscode from 'vscode';
import type { RequestType, RequestType0 } from 'vscode-jsonrpc';
import { AskRequest, IndexRequest } from '../backend/protocol.ts';
import type { AskParams, Progress, RepositoryParams } from '../backend/protocol.ts';
import { Backend, BackendUnavailable } from './backend/client.ts';
import type { StartBackend } from './backend/start.ts';
import type { Activity, Outcome, Problem, SessionEvent } from './events.ts';
import { FolderChoice, localFolders, openFiles, unsavedFiles } from './folders.ts';
import { t } from './l10n.ts';
import { problemOf, REFUSED, UNAVAILABLE } from './problems.ts';
import { rememberError } from './recent-errors.ts';
import { readSettings } from './settings.ts';

/**
 * What this window asks the backend, one thing at a time. It says what happens in {@link onEvent}; the chat and
 * the status bar make their pictures of it.
 */
export class Session implements vscode.Disposable {
  readonly #events = new vscode.EventEmitter<SessionEvent>();
  readonly onEvent = this.#events.event;
  readonly #backend: Backend;
  readonly #folders = new FolderChoice();
  #cancellation: vscode.CancellationTokenSource | undefined;

  constructor(
    start: StartBackend,
    private readonly log: vscode.LogOutputChannel,
  ) {
    this.#backend = new Backend(start, log, (state) => this.#events.fire({ type: 'backend', state }));
  }

  /** Whether there is a backend, so that a request starts none. */
  get running(): boolean {
    return this.#backend.running;
  }

  /** Tells the views what a feature has found out. */
  report(event: Extract<SessionEvent, { type: 'changed' }>): void {
    this.#events.fire(event);
  }

  get busy(): boolean {
    return this.#cancellation !== undefined;
  }

  async ask(question: string): Promise<void> {
    const folder = await this.pickFolder();
    if (folder) await this.#run({ kind: 'ask', root: folder.uri.fsPath, question }, folder);
  }

  /** Asks about a place, or goes on with a conversation; undefined when another question is being answered. */
  async askAt(
    folder: vscode.WorkspaceFolder,
    question: string,
    about: Pick<AskParams, 'place' | 'earlier'>,
  ): Promise<Outcome | undefined> {
    return this.#run({ kind: 'ask', root: folder.uri.fsPath, question, ...about }, folder);
  }

  /** Reads the repository without a question, so that the first answer comes at once. */
  async read(): Promise<void> {
    const folder = await this.pickFolder({ again: true });
    if (folder) await this.#run({ kind: 'read', root: folder.uri.fsPath }, folder);
  }

  /** Does the same thing once more, in the same folder, whichever was chosen since. */
  async retry(activity: Activity): Promise<void> {
    const folder = localFolders().find(({ uri }) => uri.fsPath === activity.root);
    if (!folder) throw new Error(t('{0} is not open any more: open it, or ask anew.', activity.root));
    await this.#run(activity, folder);
  }

  /** What is no activity: models, checks. Undefined when it was cancelled; throws a sentence for people. */
  async request<P extends object, R, E>(
    type: RequestType<P, R, E> | RequestType0<R, E>,
    params: P,
    token: vscode.CancellationToken,
    onProgress: (progress: Progress) => void = () => undefined,
  ): Promise<R | undefined> {
    try {
      return await this.#backend.request(type, params, onProgress, token);
    } catch (error) {
      const problem = this.#problem(error);
      if (!problem || token.isCancellationRequested) return undefined;
      throw new Error(problem.message, { cause: error });
    }
  }

  /**
   * About the open folder, but no activity of the chat's: what VS Code's own chat and its agents ask. Undefined when it
   * was cancelled or no folder is open; throws a sentence for people.
   */
  async inFolder<P extends RepositoryParams, R, E>(
    type: RequestType<P, R, E>,
    params: Omit<P, keyof RepositoryParams>,
    token: vscode.CancellationToken,
    onProgress?: (progress: Progress) => void,
  ): Promise<{ root: string; result: R } | undefined> {
    const folder = await this.pickFolder();
    if (!folder) return undefined;
    const root = folder.uri.fsPath;
    const result = await this.request(type, { ...this.params(folder), ...params } as P, token, onProgress);
    return result && { root, result };
  }

  /** What every request about a folder says of it. */
  params(folder: vscode.WorkspaceFolder): RepositoryParams {
    const settings = readSettings(vscode.workspace.getConfiguration('repowave', folder));
    return { root: folder.uri.fsPath, focus: openFiles(folder), ...settings };
  }

  cancel(): void {
    this.#cancellation?.cancel();
  }

  async restart(): Promise<void> {
    this.cancel();
    await this.#backend.restart();
  }

  async stop(): Promise<void> {
    this.cancel();
    await this.#backend.stop();
  }

  dispose(): void {
    this.#events.dispose();
  }

  /** The folder to ask about; undefined when there is none, which the user is told, or the user has turned away. */
  async pickFolder(options?: { again: boolean }): Promise<vscode.WorkspaceFolder | undefined> {
    if (localFolders().length > 0) return this.#folders.pick(options);
    const message = t('RepoWave answers questions about a folder: please open one.');
    const open = await vscode.window.showInformationMessage(message, t('Open Folder'));
    if (open) await vscode.commands.executeCommand('workbench.action.files.openFolder');
    return undefined;
  }

  async #run(activity: Activity, folder: vscode.WorkspaceFolder): Promise<Outcome | undefined> {
    if (this.busy) return undefined;
    const source = new vscode.CancellationTokenSource();
    this.#cancellation = source;
    this.#events.fire({ type: 'started', activity, unsaved: unsavedFiles(folder) });
    // A cancelled activity is over for the user at once, also while the backend is still starting.
    const cancelled = new Promise<Outcome>((resolve) => {
      source.token.onCancellationRequested(() => resolve({ type: 'cancelled' }));
    });
    const outcome = await Promise.race([this.#request(activity, folder, source.token), cancelled]);
    this.#cancellation = undefined;
    source.dispose();
    if (outcome.type === 'failed') rememberError(outcome.problem.message);
    this.#events.fire(outcome);
    return outcome;
  }

  async #request(
    activity: Activity,
    folder: vscode.WorkspaceFolder,
    token: vscode.CancellationToken,
  ): Promise<Outcome> {
    const params = this.params(folder);
    const onProgress = (progress: Progress) => {
      if (!token.isCancellationRequested) this.#events.fire({ type: 'progress', progress });
    };
    try {
      if (activity.kind === 'read') {
        const result = await this.#backend.request(IndexRequest, params, onProgress, token);
        return { type: 'read', result };
      }
      const { question: asked, place, earlier } = activity;
      const question = { ...params, question: asked, place, earlier, insights: true };
      const result = await this.#backend.request(AskRequest, question, onProgress, token);
      return { type: 'answered', result };
    } catch (error) {
      const problem = this.#problem(error);
      return problem ? { type: 'failed', problem } : { type: 'cancelled' };
    }
  }

  #problem(error: unknown): Problem | undefined {
    if (error instanceof BackendUnavailable) {
      return { message: error.message, remedies: error.refused ? REFUSED : UNAVAILABLE };
    }
    const problem = problemOf(error);
    if (problem) this.log.error(error instanceof Error ? error : String(error));
    return problem;
  }
}
