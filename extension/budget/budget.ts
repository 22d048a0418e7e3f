import { isDeepStrictEqual } from 'node:util';
import * as vscode from 'vscode';
import { PlanRequest } from '../../backend/protocol.ts';
import type { PlanReport } from '../../backend/protocol.ts';
import { t } from '../l10n.ts';
import type { Session } from '../session.ts';
import { showError } from '../show-error.ts';
import type { BudgetNode } from './plan-model.ts';
import { chosen, isPinnedAlone, leavingOut } from './rules.ts';
import type { Choice } from './rules.ts';
import { changeRules, rulesText, rulesUri } from './rules-file.ts';
import { BUDGET_VIEW, BudgetTree } from './tree.ts';

export function registerBudget(
  extension: vscode.ExtensionContext,
  session: Session,
  log: vscode.LogOutputChannel,
): Budget {
  const budget = new Budget(session, log);
  extension.subscriptions.push(budget);
  return budget;
}

/** What is read of the repository, what it costs, and how that is changed. */
export class Budget implements vscode.Disposable {
  readonly #tree = new BudgetTree();
  readonly #parts: vscode.Disposable[];
  /** What is shown; undefined before anybody wanted to see it. */
  #root: string | undefined;
  #counting: vscode.CancellationTokenSource | undefined;

  constructor(
    private readonly session: Session,
    private readonly log: vscode.LogOutputChannel,
  ) {
    const { view } = this.#tree;
    this.#parts = [
      this.#tree,
      view.onDidChangeCheckboxState(({ items }) => this.#guard(() => this.#checked(items))),
      session.onEvent(({ type }) => {
        if (type === 'answered' || type === 'read') this.#follow();
      }),
      vscode.workspace.onDidSaveTextDocument(({ uri }) => {
        if (this.#root && uri.toString() === rulesUri(this.#root).toString()) this.#follow();
      }),
    ];
  }

  /** Shows the view, counted anew. */
  async show(): Promise<void> {
    await vscode.commands.executeCommand(`${BUDGET_VIEW}.focus`);
    await this.refresh();
    if (this.#tree.plan) await this.#tree.reveal(undefined);
  }

  async refresh(): Promise<void> {
    const folder = await this.session.pickFolder();
    if (!folder) return;
    const report = await this.#count(folder);
    if (report) this.#shown(folder.uri.fsPath, report);
  }

  /** Leaves out what a node of the plan names; without one all of it. */
  async apply(node: BudgetNode | undefined = this.#tree.plan): Promise<void> {
    if (!node || !this.#root) return this.show();
    await changeRules(this.#root, (text) => leavingOut(text, node.patterns));
    await this.refresh();
  }

  async pin(node: BudgetNode | undefined): Promise<void> {
    await this.#choose(node ? [node] : this.#tree.view.selection, 'pin');
  }

  async unpin(node: BudgetNode | undefined): Promise<void> {
    const [first] = node ? [node] : this.#tree.view.selection;
    if (!first || !this.#root) return;
    if (isPinnedAlone(await rulesText(this.#root), first.path)) return this.#choose([first], 'unpin');
    vscode.window.setStatusBarMessage(t('It is pinned together with others: see the rules.'), 8_000);
    await this.openRules();
  }

  /** Opens the file with the rules, made if need be. */
  async openRules(): Promise<void> {
    const folder = await this.session.pickFolder();
    if (!folder) return;
    const root = folder.uri.fsPath;
    if ((await rulesText(root)) === '') await changeRules(root, (text) => leavingOut(text, []));
    await vscode.window.showTextDocument(rulesUri(root));
  }

  dispose(): void {
    this.#counting?.cancel();
    for (const part of this.#parts) part.dispose();
  }

  async #checked(items: readonly (readonly [BudgetNode, vscode.TreeItemCheckboxState])[]): Promise<void> {
    const { Checked } = vscode.TreeItemCheckboxState;
    for (const wanted of [true, false]) {
      const nodes = items.filter(([, state]) => (state === Checked) === wanted).map(([node]) => node);
      if (nodes.length > 0) await this.#choose(nodes, wanted ? 'in' : 'out');
    }
  }

  async #choose(nodes: readonly BudgetNode[], choice: Choice): Promise<void> {
    const places = nodes.filter(({ path }) => path !== '');
    if (!this.#root || places.length === 0) return;
    try {
      await changeRules(this.#root, (text) =>
        places.reduce(
          (rest, { path, state }) => chosen(rest, { path, isOut: state === 'out' }, choice),
          text,
        ),
      );
    } catch (error) {
      // A box that was ticked in vain goes back.
      this.#tree.draw();
      throw error;
    }
    await this.refresh();
  }

  /** Brings up to date what somebody looks at. Lines that are drawn anew would lose a click that is on its way. */
  #follow(): void {
    if (!this.#root || !this.#tree.view.visible) return;
    this.#guard(async () => {
      const folder = await this.session.pickFolder();
      const report = folder && (await this.#count(folder));
      if (report && !isDeepStrictEqual(report, this.#tree.report)) this.#shown(folder.uri.fsPath, report);
    });
  }

  /** Undefined when another count has begun meanwhile. */
  async #count(folder: vscode.WorkspaceFolder): Promise<PlanReport | undefined> {
    this.#counting?.cancel();
    const source = new vscode.CancellationTokenSource();
    this.#counting = source;
    const report = await vscode.window.withProgress({ location: { viewId: BUDGET_VIEW } }, () =>
      this.session.request(PlanRequest, this.session.params(folder), source.token),
    );
    if (this.#counting === source) this.#counting = undefined;
    return source.token.isCancellationRequested ? undefined : report;
  }

  #shown(root: string, report: PlanReport): void {
    this.#root = root;
    this.#tree.show(root, report);
    void vscode.commands.executeCommand('setContext', 'repowave.overBudget', report.savings.length > 0);
  }

  #guard(work: () => Promise<void>): void {
    work().catch((error: unknown) => showError(error, this.log));
  }
}
