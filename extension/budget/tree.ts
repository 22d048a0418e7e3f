import * as vscode from 'vscode';
import { t } from '../l10n.ts';
import { planText, planTree, walkNodes } from './plan-model.ts';
import type { BudgetNode } from './plan-model.ts';
import type { PlanReport } from '../../backend/protocol.ts';

export const BUDGET_VIEW = 'repowave.budget';
const ICONS = { plan: 'lightbulb', saving: 'remove', folder: 'folder', file: 'file' } as const;

/** Folders and files by tokens, with check boxes for what is read. */
export class BudgetTree implements vscode.TreeDataProvider<BudgetNode>, vscode.Disposable {
  readonly #changes = new vscode.EventEmitter<void>();
  readonly onDidChangeTreeData = this.#changes.event;
  readonly view: vscode.TreeView<BudgetNode>;
  #nodes: BudgetNode[] = [];
  #root = '';
  /** What is shown. */
  report: PlanReport | undefined;

  constructor() {
    this.view = vscode.window.createTreeView(BUDGET_VIEW, {
      treeDataProvider: this,
      showCollapseAll: true,
      manageCheckboxStateManually: true,
    });
  }

  show(root: string, report: PlanReport): void {
    this.#root = root;
    this.report = report;
    this.#nodes = planTree(report);
    this.view.description = planText(report);
    const over = report.files.filter(({ over }) => over).length;
    const tooltip = t('Files that do not fit into the budget');
    this.view.badge = over > 0 ? { value: over, tooltip } : undefined;
    this.view.message = report.counted
      ? undefined
      : t('Estimated from the sizes of the files: the model that counts is not on this machine.');
    this.draw();
  }

  draw(): void {
    this.#changes.fire();
  }

  /** The plan of what to leave out, when not all fits. */
  get plan(): BudgetNode | undefined {
    return this.#nodes.find(({ kind }) => kind === 'plan');
  }

  /** Shows the node of a path, or the first one. */
  async reveal(path: string | undefined): Promise<void> {
    const node = [...walkNodes(this.#nodes)].find((each) => each.path === path) ?? this.#nodes[0];
    if (node) await this.view.reveal(node, { select: true, focus: true, expand: true });
  }

  getChildren(node?: BudgetNode): BudgetNode[] {
    return node?.children ?? this.#nodes;
  }

  getParent(node: BudgetNode): BudgetNode | undefined {
    // The root is not shown.
    return node.parent?.id ? node.parent : undefined;
  }

  getTreeItem(node: BudgetNode): vscode.TreeItem {
    const { Collapsed, Expanded, None } = vscode.TreeItemCollapsibleState;
    const open = node.kind === 'plan' ? Expanded : Collapsed;
    const item = new vscode.TreeItem(node.label, node.children.length > 0 ? open : None);
    item.id = node.id;
    item.description = node.description;
    item.tooltip = node.tooltip;
    item.accessibilityInformation = { label: node.spoken };
    item.iconPath = iconOf(node);
    item.contextValue = contextOf(node);
    item.checkboxState = checkboxOf(node);
    if (node.kind === 'file') {
      const uri = vscode.Uri.joinPath(vscode.Uri.file(this.#root), node.path);
      item.command = { command: 'vscode.open', title: '', arguments: [uri, { preview: true }] };
    }
    return item;
  }

  dispose(): void {
    this.view.dispose();
    this.#changes.dispose();
  }
}

function iconOf({ kind, state, pinned }: BudgetNode): vscode.ThemeIcon {
  if (pinned) return new vscode.ThemeIcon('pinned');
  if (kind === 'folder' || kind === 'file') {
    if (state === 'over')
      return new vscode.ThemeIcon('warning', new vscode.ThemeColor('list.warningForeground'));
    if (state !== 'in')
      return new vscode.ThemeIcon('circle-slash', new vscode.ThemeColor('disabledForeground'));
  }
  return new vscode.ThemeIcon(ICONS[kind]);
}

/** What the menus offer for it. */
function contextOf({ kind, state, pinned }: BudgetNode): string {
  if (kind === 'plan' || kind === 'saving') return 'plan';
  if (state !== 'in' && state !== 'over') return 'out';
  return pinned ? 'pinned' : 'in';
}

function checkboxOf({ kind, state, label }: BudgetNode): vscode.TreeItem['checkboxState'] {
  if (kind === 'plan' || kind === 'saving' || state === 'fixed') return undefined;
  const { Checked, Unchecked } = vscode.TreeItemCheckboxState;
  const accessibilityInformation = { label: t('Read {0}', label) };
  return state === 'out'
    ? { state: Unchecked, tooltip: t('Read it'), accessibilityInformation }
    : { state: Checked, tooltip: t('Leave it out'), accessibilityInformation };
}
