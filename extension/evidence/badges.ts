import * as vscode from 'vscode';
import { uriOf } from './baselines.ts';
import { attentionText, badgeText, massByFile, NOT_PROOF } from './model.ts';
import type { Evidence } from './model.ts';

/** Marks the files of the shown evidence in the explorer with their share of the attention, in percent. */
export class Badges implements vscode.FileDecorationProvider, vscode.Disposable {
  readonly #changes = new vscode.EventEmitter<vscode.Uri[]>();
  readonly onDidChangeFileDecorations = this.#changes.event;
  #badges = new Map<string, { uri: vscode.Uri; mass: number }>();
  #passage: number | null = null;

  show(evidence: Evidence | undefined): void {
    const before = this.#badges;
    this.#badges = new Map();
    this.#passage = evidence?.passage ?? null;
    for (const [file, mass] of massByFile(evidence?.citations ?? [])) {
      const uri = evidence && uriOf(evidence.turn.activity.root, { file });
      if (uri) this.#badges.set(uri.toString(), { uri, mass });
    }
    const touched = new Map([...before, ...this.#badges]);
    if (touched.size > 0) this.#changes.fire([...touched.values()].map(({ uri }) => uri));
  }

  provideFileDecoration(uri: vscode.Uri): vscode.FileDecoration | undefined {
    const mass = this.#badges.get(uri.toString())?.mass;
    if (!mass) return undefined;
    const attention = attentionText(mass, this.#passage);
    const badge = new vscode.FileDecoration(badgeText(mass), `${attention}. ${NOT_PROOF()}`);
    badge.propagate = true;
    return badge;
  }

  dispose(): void {
    this.#changes.dispose();
  }
}
