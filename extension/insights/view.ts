import * as vscode from 'vscode';
import { StoreRequest } from '../../backend/protocol.ts';
import { t } from '../l10n.ts';
import type { Session } from '../session.ts';
import { openPage } from '../webview.ts';
import { recordTitle } from './figures.ts';
import type { FromInsights, ToInsights } from './messages.ts';
import { initialInsights, reduceInsights, shownRecord } from './model.ts';
import type { InsightsEvent, InsightsState } from './model.ts';

const VIEW = 'repowave.insights';
const POST_INTERVAL_MS = 250;

export function registerInsights(
  extension: vscode.ExtensionContext,
  session: Session,
  log: vscode.LogOutputChannel,
): Insights {
  const insights = new Insights(extension.extensionUri, session, log);
  extension.subscriptions.push(
    vscode.window.registerWebviewViewProvider(VIEW, insights),
    session.onEvent((event) => insights.update(event)),
  );
  return insights;
}

/** The insights view. Its state lives here, so that it knows of answers that were given while nobody looked. */
export class Insights implements vscode.WebviewViewProvider {
  #state: InsightsState = initialInsights;
  #webview: vscode.Webview | undefined;
  #post: NodeJS.Timeout | undefined;
  #running = false;

  constructor(
    private readonly extensionUri: vscode.Uri,
    private readonly session: Session,
    private readonly log: vscode.LogOutputChannel,
  ) {}

  resolveWebviewView(view: vscode.WebviewView): void {
    openPage<FromInsights>(view, this.extensionUri, this.log, {
      ...{ name: 'insights', body: '<main id="insights" tabindex="-1"></main>' },
      receive: (message, webview) => this.#receive(message, webview),
      gone: () => (this.#webview = undefined),
    });
  }

  async open(): Promise<void> {
    await vscode.commands.executeCommand(`${VIEW}.focus`);
  }

  /** Opens what is shown as JSON, in an editor. */
  async export(): Promise<void> {
    const record = shownRecord(this.#state);
    if (!record) throw new Error(t('There is nothing to export yet: ask a question first.'));
    const { store } = this.#state;
    const content = JSON.stringify({ format: 'repowave-insights', version: 1, record, store }, null, 2);
    await vscode.window.showTextDocument(
      await vscode.workspace.openTextDocument({ language: 'json', content: `${content}\n` }),
    );
  }

  update(event: InsightsEvent): void {
    if (event.type === 'backend') this.#running = event.state === 'running';
    this.#state = reduceInsights(this.#state, event, Date.now());
    if (event.type === 'answered' || event.type === 'read') void this.#lookAtStore();
    this.#post ??= setTimeout(() => this.#send(), POST_INTERVAL_MS);
  }

  /** Only while somebody looks, and never is a backend started for it. */
  async #lookAtStore(): Promise<void> {
    if (!this.#webview || !this.#running) return;
    const { token } = new vscode.CancellationTokenSource();
    try {
      const store = await this.session.request(StoreRequest, {}, token);
      if (store) this.update({ type: 'store', store });
    } catch (error) {
      this.log.warn(`The store cannot be looked at: ${String(error)}`);
    }
  }

  #send(): void {
    clearTimeout(this.#post);
    this.#post = undefined;
    const { records, frozen, store } = this.#state;
    const message: ToInsights = {
      type: 'page',
      page: {
        records: records.map((record) => ({ id: record.id, title: recordTitle(record) })).reverse(),
        frozen,
        shown: shownRecord(this.#state) ?? null,
        store,
      },
    };
    void this.#webview?.postMessage(message);
  }

  async #receive(message: FromInsights, webview: vscode.Webview): Promise<void> {
    switch (message.type) {
      case 'ready':
        this.#webview = webview;
        this.#send();
        return this.#lookAtStore();
      case 'freeze':
        return this.update(message);
      case 'export':
        return this.export();
    }
  }
}
