import * as vscode from 'vscode';
import type { Command } from '../commands.ts';
import type { Session } from '../session.ts';
import { initialStatus, reduceStatus, statusView } from './status-model.ts';
import type { StatusView } from './status-model.ts';

const LINKS: [title: string, command: Command][] = [
  ['Ask', 'repowave.ask'],
  ['Read Now', 'repowave.read'],
  ['Cancel', 'repowave.cancel'],
  ['Restart', 'repowave.restart'],
  ['Log', 'repowave.showLog'],
];

/** The status bar item: tokens in context and budget, and what is going on. */
export function registerStatus(extension: vscode.ExtensionContext, session: Session): void {
  const item = vscode.window.createStatusBarItem('repowave.status', vscode.StatusBarAlignment.Right, 100);
  item.name = 'RepoWave';
  let state = initialStatus;
  show(item, statusView(state));
  item.show();
  const listener = session.onEvent((event) => {
    state = reduceStatus(state, event);
    show(item, statusView(state));
  });
  extension.subscriptions.push(item, listener);
}

function show(item: vscode.StatusBarItem, view: StatusView): void {
  // Every assignment goes to the window: an answer alone makes hundreds that change nothing.
  if (item.text === view.text && item.accessibilityInformation?.label === view.label) return;
  item.text = view.text;
  item.command = view.command;
  item.accessibilityInformation = { label: view.label, role: 'button' };
  item.backgroundColor = view.error ? new vscode.ThemeColor('statusBarItem.errorBackground') : undefined;
  const links = LINKS.map(([title, command]) => `[${title}](command:${command})`).join(' · ');
  const tooltip = new vscode.MarkdownString([...view.tooltip, links].join('\n\n'));
  tooltip.isTrusted = { enabledCommands: LINKS.map(([, command]) => command) };
  item.tooltip = tooltip;
}
