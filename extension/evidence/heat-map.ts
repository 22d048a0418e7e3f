import * as vscode from 'vscode';
import { t } from '../l10n.ts';
import { linesOf, uriOf } from './baselines.ts';
import type { Baselines } from './baselines.ts';
import { HEAT_LEVELS, HEAT_MAP, heatLevel, placeText } from './model.ts';
import type { Evidence } from './model.ts';

/** Edits come faster than anyone looks. */
const REPAINT_MS = 100;

/** Paints the lines that the shown evidence names in all visible editors: the more attention, the warmer. */
export class HeatMap implements vscode.Disposable {
  /** One per level and, the last, one for what was edited since: made once, since VS Code never forgets a type. */
  readonly #types = [...Array.from({ length: HEAT_LEVELS }, (_, level) => `${level}`), 'Edited'].map(
    heatType,
  );
  readonly #listeners: vscode.Disposable[];
  #evidence: Evidence | undefined;
  #repaint: NodeJS.Timeout | undefined;

  constructor(private readonly baselines: Baselines) {
    this.#listeners = [
      vscode.window.onDidChangeVisibleTextEditors(() => this.#paint()),
      vscode.workspace.onDidChangeTextDocument(() => {
        if (this.#evidence) this.#repaint ??= setTimeout(() => this.#paint(), REPAINT_MS);
      }),
      vscode.workspace.onDidChangeConfiguration((event) => {
        if (event.affectsConfiguration(`repowave.${HEAT_MAP}`)) this.#paint();
      }),
    ];
  }

  show(evidence: Evidence | undefined): void {
    this.#evidence = evidence;
    this.#paint();
  }

  /** Changes the setting where it is set. */
  async toggle(): Promise<void> {
    const configuration = vscode.workspace.getConfiguration('repowave');
    const inWorkspace = configuration.inspect(HEAT_MAP)?.workspaceValue !== undefined;
    const target = inWorkspace ? vscode.ConfigurationTarget.Workspace : vscode.ConfigurationTarget.Global;
    await configuration.update(HEAT_MAP, !isOn(), target);
  }

  dispose(): void {
    clearTimeout(this.#repaint);
    for (const part of [...this.#listeners, ...this.#types]) part.dispose();
  }

  #paint(): void {
    clearTimeout(this.#repaint);
    this.#repaint = undefined;
    const evidence = isOn() ? this.#evidence : undefined;
    for (const editor of vscode.window.visibleTextEditors) {
      const painted = evidence ? this.#decorations(evidence, editor.document) : [];
      this.#types.forEach((type, level) => {
        editor.setDecorations(
          type,
          painted.filter((place) => place.level === level).map(({ options }) => options),
        );
      });
    }
  }

  #decorations(evidence: Evidence, document: vscode.TextDocument) {
    const { turn, citations } = evidence;
    const uri = document.uri.toString();
    const here = citations.filter((citation) => uriOf(turn.activity.root, citation)?.toString() === uri);
    if (here.length === 0) return [];
    const lines = linesOf(document.getText());
    return here.flatMap((citation) => {
      const located = this.baselines.locate(turn, citation, lines);
      if (!located) return [];
      const range = new vscode.Range(located.startLine - 1, 0, located.endLine - 1, Number.MAX_SAFE_INTEGER);
      const hoverMessage = hover(placeText(evidence, citation), located.edited);
      const level = located.edited ? HEAT_LEVELS : heatLevel(citation, citations);
      return [{ level, options: { range: document.validateRange(range), hoverMessage } }];
    });
  }
}

const isOn = (): boolean => vscode.workspace.getConfiguration('repowave').get<boolean>(HEAT_MAP) ?? true;

function heatType(level: string): vscode.TextEditorDecorationType {
  const edited = level === 'Edited';
  const colour = new vscode.ThemeColor(`repowave.heat${level}`);
  return vscode.window.createTextEditorDecorationType({
    isWholeLine: true,
    rangeBehavior: vscode.DecorationRangeBehavior.ClosedClosed,
    backgroundColor: colour,
    // In a high contrast theme the background is all but empty: the bar shows where the evidence is.
    borderWidth: '0 0 0 3px',
    borderStyle: edited ? 'dotted' : 'solid',
    borderColor: new vscode.ThemeColor('repowave.heatBorder'),
    overviewRulerColor: edited ? colour : new vscode.ThemeColor('repowave.heatBorder'),
    overviewRulerLane: vscode.OverviewRulerLane.Right,
  });
}

function hover(lines: string[], edited: boolean): vscode.MarkdownString {
  const markdown = new vscode.MarkdownString();
  markdown.isTrusted = { enabledCommands: ['repowave.evidence.previous', 'repowave.evidence.next'] };
  const all = edited ? [...lines, t('These lines have changed since they were read.')] : lines;
  all.forEach((line) => markdown.appendMarkdown(`${line}\n\n`));
  const previous = `[${t('Previous Evidence')}](command:repowave.evidence.previous)`;
  const next = `[${t('Next Evidence')}](command:repowave.evidence.next)`;
  return markdown.appendMarkdown(`${previous} · ${next}`);
}
