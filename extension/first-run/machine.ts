import * as vscode from 'vscode';
import { ProbeRequest } from '../../backend/protocol.ts';
import type { Ctx } from '../ctx.ts';
import { localFolders } from '../folders.ts';
import { t } from '../l10n.ts';
import { allModels } from '../models/commands.ts';
import { readSettings } from '../settings.ts';
import { work } from '../work.ts';
import { predictions } from './prediction.ts';

/** Shows what this machine has, and how long it will take to read the folder. */
export async function checkMachine(ctx: Ctx): Promise<void> {
  const [folder] = localFolders();
  const { include, exclude } = readSettings(vscode.workspace.getConfiguration('repowave', folder));
  const params = folder ? { root: folder.uri.fsPath, include, exclude } : {};
  const report = await work(ctx, t('Checking this machine'), ProbeRequest, params);
  const models = report && (await allModels(ctx));
  if (!models) return;
  ctx.firstRun.reached('machineChecked');
  const times = predictions(report, models, ctx.firstRun.rates);
  const separator = (label: string) => ({ label, kind: vscode.QuickPickItemKind.Separator });
  const items: vscode.QuickPickItem[] = [
    separator(t('Time to read, once')),
    ...times.map(({ model, time, detail }) => ({ label: `$(clock) ${model}`, description: time, detail })),
    separator(t('This machine')),
    ...report.checks.map(({ name, ok, detail }) => ({
      label: `${ok ? '$(pass)' : '$(warning)'} ${name}`,
      detail,
    })),
  ];
  // The model is the next step of the walkthrough.
  const title = report.checks.every(({ name, ok }) => ok || name === 'Models')
    ? t('This machine has all that RepoWave needs')
    : t('Something is missing on this machine');
  await vscode.window.showQuickPick(items, { title, matchOnDetail: true, ignoreFocusOut: true });
}

/** Opens the walkthrough. */
export async function getStarted({ extension }: Ctx): Promise<void> {
  const walkthrough = `${extension.extension.id}#start`;
  await vscode.commands.executeCommand('workbench.action.openWalkthrough', walkthrough, false);
}
