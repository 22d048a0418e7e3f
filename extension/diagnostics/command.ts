import os from 'node:os';
import * as vscode from 'vscode';
import { DoctorRequest, PROTOCOL_VERSION } from '../../backend/protocol.ts';
import type { Ctx } from '../ctx.ts';
import { t } from '../l10n.ts';
import { recentErrors } from '../recent-errors.ts';
import { work } from '../work.ts';
import { changedSettings, diagnosticsReport } from './report.ts';
import type { Diagnostics } from './report.ts';

/** Puts what a bug report needs on the clipboard. */
export async function copyDiagnostics(ctx: Ctx): Promise<void> {
  const facts: Diagnostics = {
    versions: versions(ctx),
    checks: await checks(ctx),
    settings: settings(ctx),
    errors: recentErrors(),
  };
  const report = diagnosticsReport(facts, os.homedir());
  await vscode.env.clipboard.writeText(report);
  const show = t('Show');
  const copied = t('The diagnostics are on the clipboard.');
  if ((await vscode.window.showInformationMessage(copied, show)) !== show) return;
  const document = await vscode.workspace.openTextDocument({ language: 'markdown', content: report });
  await vscode.window.showTextDocument(document);
}

function versions({ extension }: Ctx): Record<string, string> {
  return {
    RepoWave: `${String((extension.extension.packageJSON as { version: string }).version)}, protocol ${PROTOCOL_VERSION}`,
    'VS Code': `${vscode.version} (${vscode.env.appName}, ${vscode.env.remoteName ? 'remote' : 'local'}, ${vscode.env.language})`,
    System: `${os.platform()} ${os.release()} ${os.arch()}, Node ${process.versions.node}`,
  };
}

async function checks(ctx: Ctx): Promise<Diagnostics['checks']> {
  try {
    return (await work(ctx, t('Checking this machine'), DoctorRequest, {}, { quiet: true })) ?? 'cancelled';
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function settings({ extension }: Ctx): Record<string, unknown> {
  const { contributes } = extension.extension.packageJSON as {
    contributes: { configuration: { properties: Record<string, unknown> }[] };
  };
  const names = contributes.configuration.flatMap(({ properties }) => Object.keys(properties));
  const configuration = vscode.workspace.getConfiguration();
  return changedSettings(
    names,
    (name) => configuration.get(name),
    (name) => configuration.inspect(name),
  );
}
