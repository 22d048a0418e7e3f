import * as vscode from 'vscode';
import type { Command } from '../commands.ts';
import { t } from '../l10n.ts';
import type { FirstRun } from '../first-run/first-run.ts';
import type { Session } from '../session.ts';
import { initialStatus, reduceStatus, statusView } from './status-model.ts';
import type { StatusEvent, StatusView } from './status-model.ts';

const links = (): [title: string, command: Command][] => [
  [t('Ask'), 'repowave.ask'],
  [t('Budget'), 'repowave.budget.show'],
  [t('Read Now'), 'repowave.read'],
  [t('Cancel'), 'repowave.cancel'],
  [t('Model'), 'repowave.selectModel'],
  [t('Insights'), 'repowave.insights.open'],
  [t('Restart'), 'repowave.restart'],
  [t('Log'), 'repowave.showLog'],
];

const backgrounds = {
  none: undefined,
  warning: new vscode.ThemeColor('statusBarItem.warningBackground'),
  error: new vscode.ThemeColor('statusBarItem.errorBackground'),
};

/** The status bar item: tokens in context and budget, and what is going on. */
export function registerStatus(
  extension: vscode.ExtensionContext,
  session: Session,
  firstRun: FirstRun,
): void {
  const item = vscode.window.createStatusBarItem('repowave.status', vscode.StatusBarAlignment.Right, 100);
  item.name = 'RepoWave';
  let state = initialStatus;
  const update = (event: StatusEvent) => {
    state = reduceStatus(state, event);
    show(item, statusView(state));
  };
  const lookForModel = () => update({ type: 'model', needed: firstRun.needsModel });
  lookForModel();
  item.show();
  extension.subscriptions.push(item, session.onEvent(update), firstRun.onChange(lookForModel));
}

function show(item: vscode.StatusBarItem, view: StatusView): void {
  // Every assignment goes to the window: an answer alone makes hundreds that change nothing.
  if (item.text === view.text && item.accessibilityInformation?.label === view.label) return;
  item.text = view.text;
  item.command = view.command;
  item.accessibilityInformation = { label: view.label, role: 'button' };
  item.backgroundColor = backgrounds[view.background];
  const line = links()
    .map(([title, command]) => `[${title}](command:${command})`)
    .join(' · ');
  const tooltip = new vscode.MarkdownString([...view.tooltip, line].join('\n\n'));
  tooltip.isTrusted = { enabledCommands: links().map(([, command]) => command) };
  item.tooltip = tooltip;
}
