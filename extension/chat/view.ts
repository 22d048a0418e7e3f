import * as vscode from 'vscode';
import type { Session } from '../session.ts';
import { openPage } from '../webview.ts';
import { chatBody } from './html.ts';
import type { FromWebview, ToWebview } from './messages.ts';
import { initialChat, reduceChat } from './model.ts';
import type { ChatEvent, ChatState, EvidencePlace } from './model.ts';
import { openCitation } from './open.ts';

const VIEW = 'repowave.chat';
/** Tokens come faster than anyone reads: the webview gets at most ten states a second. */
const POST_INTERVAL_MS = 100;
/** A longer selection is no word to ask about. */
const MAX_SELECTION = 80;

export function registerChat(
  extension: vscode.ExtensionContext,
  session: Session,
  log: vscode.LogOutputChannel,
): Chat {
  const chat = new Chat(extension.extensionUri, session, log);
  extension.subscriptions.push(
    vscode.window.registerWebviewViewProvider(VIEW, chat),
    session.onEvent((event) => chat.update(event)),
  );
  return chat;
}

/** The chat view. Its state lives here, so that the webview can come and go. */
export class Chat implements vscode.WebviewViewProvider {
  readonly #changes = new vscode.EventEmitter<void>();
  readonly onChange = this.#changes.event;
  readonly #glances = new vscode.EventEmitter<EvidencePlace | null>();
  /** A sentence that the user looks at, or no more. */
  readonly onGlance = this.#glances.event;
  #state: ChatState = initialChat;
  #webview: vscode.Webview | undefined;
  #post: NodeJS.Timeout | undefined;
  /** The question box shall get the focus once the webview is ready. */
  #focus: Extract<ToWebview, { type: 'focus' }> | undefined;

  constructor(
    private readonly extensionUri: vscode.Uri,
    private readonly session: Session,
    private readonly log: vscode.LogOutputChannel,
  ) {}

  resolveWebviewView(view: vscode.WebviewView): void {
    openPage<FromWebview>(view, this.extensionUri, this.log, {
      ...{ name: 'chat', body: chatBody() },
      receive: (message, webview) => this.#receive(message, webview),
      gone: () => {
        this.#webview = undefined;
        this.#glances.fire(null);
      },
    });
  }

  /** Shows the view with the cursor in the question box; a selected word becomes part of the question. */
  async ask(): Promise<void> {
    this.#focus = { type: 'focus', ...selectedWord() };
    await vscode.commands.executeCommand(`${VIEW}.focus`);
    this.#sendFocus();
  }

  clear(): void {
    this.update({ type: 'clear' });
  }

  /** Shows the evidence of an answer or of one of its sentences. */
  show(place: EvidencePlace): void {
    this.update({ type: 'show', place });
  }

  get state(): ChatState {
    return this.#state;
  }

  update(event: ChatEvent): void {
    const before = this.#state;
    this.#state = reduceChat(before, event);
    if (this.#state === before) return;
    this.#changes.fire();
    this.#post ??= setTimeout(() => this.#sendState(), POST_INTERVAL_MS);
  }

  #sendState(): void {
    clearTimeout(this.#post);
    this.#post = undefined;
    this.#send({ type: 'state', state: this.#state });
  }

  #sendFocus(): void {
    if (!this.#webview || !this.#focus) return;
    this.#send(this.#focus);
    this.#focus = undefined;
  }

  #send(message: ToWebview): void {
    void this.#webview?.postMessage(message);
  }

  async #receive(message: FromWebview, webview: vscode.Webview): Promise<void> {
    switch (message.type) {
      case 'ready':
        this.#webview = webview;
        this.#sendState();
        return this.#sendFocus();
      case 'ask':
        return this.session.ask(message.question);
      case 'cancel':
        return this.session.cancel();
      case 'open':
        return this.#open(message);
      case 'remedy':
        return this.#remedy(message);
      case 'show':
        return this.show(message.place);
      case 'glance':
        return this.#glances.fire(message.place);
      case 'command':
        // The page may run what stands on its buttons, and nothing else.
        if (this.#state.welcome?.actions.some(({ command }) => command === message.command))
          await vscode.commands.executeCommand(message.command);
    }
  }

  async #open({ turn, citation }: Extract<FromWebview, { type: 'open' }>): Promise<void> {
    const root = this.#state.turns.find(({ id }) => id === turn)?.activity.root;
    if (!root) return;
    if (this.#state.shown?.turn !== turn) this.show({ turn, passage: null });
    await openCitation(root, citation);
    // A step of the walkthrough.
    await vscode.commands.executeCommand('setContext', 'repowave.evidenceOpened', true);
  }

  async #remedy({ turn, remedy }: Extract<FromWebview, { type: 'remedy' }>): Promise<void> {
    const activity = this.#state.turns.find(({ id }) => id === turn)?.activity;
    switch (remedy) {
      case 'retry':
        return activity && this.session.retry(activity);
      case 'restart':
        await vscode.commands.executeCommand('repowave.restart');
        return;
      case 'log':
        return this.log.show();
      case 'selectModel':
        await vscode.commands.executeCommand('repowave.selectModel');
        return;
      case 'enterToken':
        await vscode.commands.executeCommand('repowave.enterToken');
        return;
    }
  }
}

function selectedWord(): { draft: string } | undefined {
  const editor = vscode.window.activeTextEditor;
  const text = editor?.document.getText(editor.selection).trim();
  if (!text || text.length > MAX_SELECTION || text.includes('\n')) return undefined;
  return { draft: `\`${text}\` ` };
}
