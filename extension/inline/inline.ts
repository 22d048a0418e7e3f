import * as vscode from 'vscode';
import { resolveInside } from '../chat/inside.ts';
import type { Outcome, SessionEvent } from '../events.ts';
import { listed, phaseTitle, progressFigures } from '../format.ts';
import { unsavedFiles } from '../folders.ts';
import { t } from '../l10n.ts';
import type { Session } from '../session.ts';
import { answerMarkdown, earlierOf, foundAgain, moved, placeFrom } from './model.ts';
import type { Exchange, LineRange } from './model.ts';
import { Remembered } from './remembered.ts';

export const INLINE = 'repowave.inline';
/** VS Code draws the whole thread for every assignment. */
const DRAW_MS = 250;

export function registerInline(extension: vscode.ExtensionContext, session: Session): InlineChat {
  const inline = new InlineChat(session, new Remembered(extension.workspaceState));
  extension.subscriptions.push(inline);
  return inline;
}

interface Conversation {
  thread: vscode.CommentThread;
  exchanges: Exchange[];
}

/** Questions about lines of a file, asked and answered at these lines, from the whole repository. */
export class InlineChat implements vscode.Disposable {
  readonly #conversations = new Set<Conversation>();
  readonly #parts: vscode.Disposable[];
  #controller: vscode.CommentController | undefined;
  /** Whose question is being answered. */
  #asking: Conversation | undefined;
  #draw: NodeJS.Timeout | undefined;

  constructor(
    private readonly session: Session,
    private readonly remembered: Remembered,
  ) {
    this.#parts = [
      session.onEvent((event) => this.#hear(event)),
      vscode.workspace.onDidChangeTextDocument((change) => this.#move(change)),
      vscode.workspace.onDidOpenTextDocument((document) => this.#anchor(document)),
    ];
    this.#restore();
  }

  /** Opens an empty conversation at the selection, in place of one that stayed empty. */
  start(): void {
    const editor = vscode.window.activeTextEditor;
    if (!editor || !vscode.workspace.getWorkspaceFolder(editor.document.uri)) {
      vscode.window.setStatusBarMessage(t('Open a file of the folder to ask about its lines.'), 5_000);
      return;
    }
    for (const { thread, exchanges } of this.#conversations) if (exchanges.length === 0) this.delete(thread);
    const { start, end } = editor.selection;
    const thread = this.#open(editor.document.uri, { start: start.line, end: end.line });
    thread.collapsibleState = vscode.CommentThreadCollapsibleState.Expanded;
    this.#conversations.add({ thread, exchanges: [] });
  }

  async reply({ thread, text }: vscode.CommentReply): Promise<void> {
    const conversation = this.#find(thread);
    const folder = vscode.workspace.getWorkspaceFolder(thread.uri);
    if (!conversation || !folder) return;
    if (this.session.busy)
      throw new Error(t('Another question is being answered: please wait for it, or cancel it.'));
    const earlier = earlierOf(conversation.exchanges);
    const exchange: Exchange = { question: text, answer: '', citations: [], note: '' };
    conversation.exchanges.push(exchange);
    this.#asking = conversation;
    this.#show(conversation);
    const file = vscode.workspace.asRelativePath(thread.uri, false);
    const unsaved = unsavedFiles(folder);
    const outcome = await this.session.askAt(folder, text, {
      place: placeFrom(file, rangeOf(thread)),
      earlier,
    });
    this.#asking = undefined;
    finish(exchange, outcome, unsaved);
    // It may have been deleted meanwhile.
    if (!this.#conversations.has(conversation)) return;
    this.#show(conversation);
    this.#remember();
  }

  resolve(thread: vscode.CommentThread, isResolved: boolean): void {
    thread.state = isResolved ? vscode.CommentThreadState.Resolved : vscode.CommentThreadState.Unresolved;
    thread.contextValue = isResolved ? 'resolved' : 'open';
    if (isResolved) thread.collapsibleState = vscode.CommentThreadCollapsibleState.Collapsed;
    this.#remember();
  }

  delete(thread: vscode.CommentThread): void {
    const conversation = this.#find(thread);
    if (!conversation) return;
    if (conversation === this.#asking) this.session.cancel();
    this.#conversations.delete(conversation);
    thread.dispose();
    this.#remember();
  }

  dispose(): void {
    clearTimeout(this.#draw);
    this.#controller?.dispose();
    for (const part of this.#parts) part.dispose();
  }

  #find(thread: vscode.CommentThread): Conversation | undefined {
    return [...this.#conversations].find((conversation) => conversation.thread === thread);
  }

  /** Made with the first thread: there is nothing to see of it before. */
  #open(uri: vscode.Uri, { start, end }: LineRange): vscode.CommentThread {
    if (!this.#controller) {
      this.#controller = vscode.comments.createCommentController(INLINE, 'RepoWave');
      this.#controller.options = {
        prompt: t('Ask about these lines'),
        placeHolder: t('Ask about these lines'),
      };
    }
    const thread = this.#controller.createCommentThread(uri, new vscode.Range(start, 0, end, 0), []);
    thread.label = t('Ask the repository about these lines');
    thread.contextValue = 'open';
    return thread;
  }

  #hear(event: SessionEvent): void {
    const exchange = this.#asking?.exchanges.at(-1);
    if (!exchange || event.type !== 'progress') return;
    const { progress } = event;
    if (progress.kind === 'text') {
      exchange.answer += progress.text;
      exchange.note = '';
    } else if (progress.kind === 'phase') {
      exchange.note = `${phaseTitle(progress.phase)}: ${progressFigures(progress)}`;
    } else return;
    this.#draw ??= setTimeout(() => this.#asking && this.#show(this.#asking), DRAW_MS);
  }

  #show({ thread, exchanges }: Conversation): void {
    clearTimeout(this.#draw);
    this.#draw = undefined;
    const root = vscode.workspace.getWorkspaceFolder(thread.uri)?.uri.fsPath;
    thread.comments = exchanges.flatMap((exchange, i) => {
      const isWorking = exchange === this.#asking?.exchanges[i];
      const shown =
        isWorking && !exchange.answer && !exchange.note ? { ...exchange, note: t('Starting') } : exchange;
      const answer = answerMarkdown(shown, (citation) => {
        const file = root && resolveInside(root, citation.file);
        return (
          file &&
          vscode.Uri.file(file)
            .with({ fragment: `L${citation.startLine}` })
            .toString()
        );
      });
      return [comment(t('You'), exchange.question), comment('RepoWave', answer)];
    });
  }

  #move({ document, contentChanges }: vscode.TextDocumentChangeEvent): void {
    let isMoved = false;
    for (const { thread } of this.#at(document.uri)) {
      const before = rangeOf(thread);
      const after = contentChanges.reduce(
        (range, { range: { start, end }, text }) =>
          moved(range, { start, end, breaks: text.split('\n').length - 1 }),
        before,
      );
      if (after.start === before.start && after.end === before.end) continue;
      thread.range = new vscode.Range(after.start, 0, after.end, 0);
      isMoved = true;
    }
    if (isMoved) this.#remember();
  }

  #at(uri: vscode.Uri): Conversation[] {
    return [...this.#conversations].filter(({ thread }) => thread.uri.toString() === uri.toString());
  }

  #restore(): void {
    for (const stored of this.remembered.read()) {
      const { exchanges, range, resolved, uri } = stored;
      const thread = this.#open(vscode.Uri.parse(uri), range);
      const conversation = { thread, exchanges };
      this.#conversations.add(conversation);
      this.#show(conversation);
      if (resolved) this.resolve(thread, true);
    }
    for (const document of vscode.workspace.textDocuments) this.#anchor(document);
  }

  /** The file may have changed while this window did not look. */
  #anchor(document: vscode.TextDocument): void {
    const here = this.#at(document.uri);
    if (here.length === 0) return;
    const lines = document.getText().split(/\r?\n/);
    for (const { thread } of here) {
      const stored = this.remembered.of(thread.uri.toString(), rangeOf(thread));
      if (!stored) continue;
      const { start, end } = foundAgain(stored, lines);
      thread.range = new vscode.Range(start, 0, end, 0);
    }
  }

  #remember(): void {
    const answered = [...this.#conversations].filter(({ exchanges }) =>
      exchanges.some(({ answer }) => answer),
    );
    this.remembered.write(
      answered.map(({ thread, exchanges }) => ({
        uri: thread.uri.toString(),
        range: rangeOf(thread),
        exchanges,
        resolved: thread.state === vscode.CommentThreadState.Resolved,
      })),
    );
  }
}

function finish(exchange: Exchange, outcome: Outcome | undefined, unsaved: string[]): void {
  if (outcome?.type === 'answered') {
    const { answer, citations, context } = outcome.result;
    const state = t('Saw the files in state {0}', context.state);
    const without = unsaved.length > 0 ? t('without the unsaved changes of {0}', listed(unsaved)) : '';
    const honest = t('Attention is what was read, not proof.');
    Object.assign(exchange, {
      answer,
      citations,
      note: [honest, state, without].filter(Boolean).join(' · '),
    });
  } else if (outcome?.type === 'failed') {
    exchange.note = outcome.problem.message;
  } else {
    exchange.note = exchange.answer ? t('Stopped here.') : t('Cancelled.');
  }
}

function rangeOf({ range }: vscode.CommentThread): LineRange {
  return { start: range?.start.line ?? 0, end: range?.end.line ?? 0 };
}

function comment(name: string, markdown: string): vscode.Comment {
  const body = new vscode.MarkdownString(markdown);
  return { author: { name }, body, mode: vscode.CommentMode.Preview };
}
