import * as vscode from 'vscode';
import { placeOf } from '../chat/links.ts';
import { evidenceTree, NOT_PROOF, samePlace, summary } from './model.ts';
import type { Evidence, EvidenceNode } from './model.ts';
import type { ChatState } from '../chat/model.ts';
import type { Verdicts } from './verdict.ts';

const VIEW = 'repowave.evidence';
const ICONS = { answer: 'comment', passage: 'quote', citation: 'file-code', verdict: 'beaker' } as const;

/** The tree of all answers with what they were read from. */
export class EvidenceTree implements vscode.TreeDataProvider<EvidenceNode>, vscode.Disposable {
  readonly #changes = new vscode.EventEmitter<void>();
  readonly onDidChangeTreeData = this.#changes.event;
  readonly #view = vscode.window.createTreeView(VIEW, { treeDataProvider: this });
  #answers: EvidenceNode[] = [];

  get selected(): EvidenceNode | undefined {
    return this.#view.selection[0];
  }

  update(state: ChatState, verdicts: Verdicts): void {
    this.#answers = evidenceTree(state, verdicts);
    this.#changes.fire();
  }

  /** Goes to the answer or sentence that is shown, unless the user stands there, and never takes the focus. */
  async show(evidence: Evidence | undefined): Promise<void> {
    this.#view.message = evidence && NOT_PROOF();
    this.#view.description = evidence && summary(evidence.citations);
    const place = evidence && { turn: evidence.turn.id, passage: evidence.passage };
    if (!place || !this.#view.visible || samePlace(this.selected?.place, place)) return;
    const node = this.find((node) => samePlace(node.place, place));
    if (node) await this.reveal(node);
  }

  /** Shows a node, without taking the focus. */
  async reveal(node: EvidenceNode): Promise<void> {
    await this.#view.reveal(node, { select: true, focus: false, expand: true });
  }

  /** The first node, from the top, that fits. */
  find(fits: (node: EvidenceNode) => boolean): EvidenceNode | undefined {
    const search = (nodes: EvidenceNode[]): EvidenceNode | undefined => {
      for (const node of nodes) {
        const found = fits(node) ? node : search(node.children);
        if (found) return found;
      }
      return undefined;
    };
    return search(this.#answers);
  }

  getChildren(node?: EvidenceNode): EvidenceNode[] {
    return node?.children ?? this.#answers;
  }

  getParent(node: EvidenceNode): EvidenceNode | undefined {
    return node.parent;
  }

  getTreeItem(node: EvidenceNode): vscode.TreeItem {
    const { Collapsed, Expanded, None } = vscode.TreeItemCollapsibleState;
    const open = node === this.#answers[0] ? Expanded : Collapsed;
    const item = new vscode.TreeItem(node.label, node.children.length > 0 ? open : None);
    item.id = node.id;
    item.description = node.description;
    item.tooltip = node.citation ? placeOf(node.citation) : (node.details ?? node.label);
    item.iconPath = new vscode.ThemeIcon(ICONS[node.kind]);
    item.contextValue = node.kind;
    item.accessibilityInformation = { label: node.spoken };
    item.command = { command: 'repowave.evidence.open', title: '', arguments: [node] };
    return item;
  }

  dispose(): void {
    this.#view.dispose();
    this.#changes.dispose();
  }
}
