import * as vscode from 'vscode';
import { VerifyAnswerRequest } from '../../backend/protocol.ts';
import type { Citation, VerifyAnswerResult } from '../../backend/protocol.ts';
import type { EvidencePlace } from '../chat/model.ts';
import { openCitation } from '../chat/open.ts';
import type { Chat } from '../chat/view.ts';
import type { Ctx } from '../ctx.ts';
import { localFolders } from '../folders.ts';
import { t } from '../l10n.ts';
import { work } from '../work.ts';
import { Badges } from './badges.ts';
import { Baselines, linesOf, uriOf } from './baselines.ts';
import { HeatMap } from './heat-map.ts';
import { copyText, evidenceAt, neighbour, samePlace } from './model.ts';
import type { Evidence } from './model.ts';
import { EvidenceTree } from './tree.ts';
import { verdictKey, verifyParams } from './verdict.ts';

/** In the status bar. */
const MESSAGE_MS = 5_000;

export function registerEvidence(extension: vscode.ExtensionContext, chat: Chat): EvidenceFeature {
  const feature = new EvidenceFeature(chat);
  extension.subscriptions.push(feature);
  return feature;
}

/** What answers were read from, in a tree, in the editors and in the explorer: always of the place that the chat shows. */
export class EvidenceFeature implements vscode.Disposable {
  readonly #baselines = new Baselines();
  readonly #tree = new EvidenceTree();
  readonly #heatMap = new HeatMap(this.#baselines);
  readonly #badges = new Badges();
  readonly #parts: vscode.Disposable[];
  /** What verifying sentences has shown. */
  readonly #verdicts = new Map<string, VerifyAnswerResult>();
  /** The answers with evidence at the last change. */
  #answers = '';
  /** A sentence that the user looks at, before what is shown. */
  #glance: EvidencePlace | null = null;
  #place: EvidencePlace | null = null;

  constructor(private readonly chat: Chat) {
    this.#parts = [
      this.#tree,
      this.#heatMap,
      this.#badges,
      vscode.window.registerFileDecorationProvider(this.#badges),
      chat.onChange(() => this.#follow()),
      chat.onGlance((place) => {
        this.#glance = place;
        this.#follow();
      }),
    ];
  }

  /** Shows the node's answer or sentence, and a place in an editor. Without a node: what is selected, else the strongest place. */
  async open(node = this.#tree.selected): Promise<void> {
    if (!node) return this.step(1);
    this.chat.show(node.place);
    const { turn } = this.#evidence(node.place) ?? {};
    if (node.citation && turn) await this.#openAt(turn.activity.root, node.citation, turn);
  }

  /** Hides what a sentence was read from most, and shows how much less likely the model finds it then. */
  async verify(ctx: Ctx, node = this.#tree.selected): Promise<void> {
    const place = node?.place ?? this.#place;
    const evidence = this.#evidence(place);
    const folder = localFolders().find(({ uri }) => uri.fsPath === evidence?.turn.activity.root);
    const params = evidence && folder && verifyParams(evidence, ctx.session.params(folder));
    if (!evidence || !params) {
      vscode.window.setStatusBarMessage(t('Choose a sentence of an answer to verify.'), MESSAGE_MS);
      return;
    }
    const result = await work(ctx, t('Verifying the sentence'), VerifyAnswerRequest, params);
    if (!result) return;
    this.#verdicts.set(verdictKey(evidence.turn.id, evidence.passage ?? 0), result);
    this.#tree.update(this.chat.state, this.#verdicts);
    const verdict = this.#tree.find((each) => each.kind === 'verdict' && samePlace(each.place, place));
    if (verdict) await this.#tree.reveal(verdict);
  }

  async copy(
    node = this.#tree.selected ?? this.#tree.find(({ place }) => samePlace(place, this.#place)),
  ): Promise<void> {
    const { turn } = (node && this.#evidence(node.place)) ?? {};
    if (node && turn) await vscode.env.clipboard.writeText(copyText(node, turn));
    else this.#sayNothing();
  }

  /** Opens the place after or before the one at the cursor, by rank. */
  async step(step: 1 | -1): Promise<void> {
    const evidence = this.#evidence(this.#place);
    if (!evidence) return this.#sayNothing();
    const { turn, citations } = evidence;
    const citation = citations[neighbour(citations.length, this.#atCursor(evidence), step)];
    if (citation) await this.#openAt(turn.activity.root, citation, turn);
  }

  toggleHeatMap(): Promise<void> {
    return this.#heatMap.toggle();
  }

  dispose(): void {
    for (const part of this.#parts) part.dispose();
  }

  #evidence(place: EvidencePlace | null): Evidence | undefined {
    return evidenceAt(this.chat.state, place);
  }

  /** Called for every word of an answer: most of the time nothing is to be done. */
  #follow(): void {
    const { state } = this.chat;
    const filled = this.#baselines.update(state);
    const answers = state.turns.filter(({ citations }) => citations.length > 0).map(({ id }) => id);
    const place = this.#evidence(this.#glance) ? this.#glance : state.shown;
    if (answers.join() === this.#answers && samePlace(place, this.#place)) return;
    if (answers.join() !== this.#answers) this.#tree.update(state, this.#verdicts);
    this.#answers = answers.join();
    this.#place = place;
    void filled.then(() => this.#show());
  }

  #show(): void {
    const evidence = this.#evidence(this.#place);
    this.#heatMap.show(evidence);
    this.#badges.show(evidence);
    void this.#tree.show(evidence);
    void vscode.commands.executeCommand('setContext', 'repowave.hasEvidence', evidence !== undefined);
  }

  /** Index of the citation whose lines the cursor is in, -1 if none. */
  #atCursor({ turn, citations }: Evidence): number {
    const editor = vscode.window.activeTextEditor;
    if (!editor) return -1;
    const lines = linesOf(editor.document.getText());
    const line = editor.selection.active.line + 1;
    return citations.findIndex((citation) => {
      if (uriOf(turn.activity.root, citation)?.toString() !== editor.document.uri.toString()) return false;
      const located = this.#baselines.locate(turn, citation, lines);
      return located !== undefined && located.startLine <= line && line <= located.endLine;
    });
  }

  /** Opens the editor at what has become of the cited lines. */
  async #openAt(root: string, citation: Citation, turn: Evidence['turn']): Promise<void> {
    const uri = uriOf(root, citation);
    const document = uri && (await openText(uri));
    const located = document && this.#baselines.locate(turn, citation, linesOf(document.getText()));
    await openCitation(root, { ...citation, ...located });
    // A step of the walkthrough.
    void vscode.commands.executeCommand('setContext', 'repowave.evidenceOpened', true);
    if (document && (!located || located.edited)) {
      vscode.window.setStatusBarMessage(t('These lines have changed since they were read.'), MESSAGE_MS);
    }
  }

  #sayNothing(): void {
    vscode.window.setStatusBarMessage(t('There is no evidence yet: please ask a question.'), MESSAGE_MS);
  }
}

/** Undefined for what is gone or no text: opening it tells the user. */
async function openText(uri: vscode.Uri): Promise<vscode.TextDocument | undefined> {
  try {
    return await vscode.workspace.openTextDocument(uri);
  } catch {
    return undefined;
  }
}
