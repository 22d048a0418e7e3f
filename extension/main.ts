import * as vscode from 'vscode';
import { backendStarter } from './backend/start.ts';
import { registerBudget } from './budget/budget.ts';
import { registerStatus } from './budget/status.ts';
import { registerChat } from './chat/view.ts';
import { commands } from './commands.ts';
import type { Ctx } from './ctx.ts';
import { registerEvidence } from './evidence/evidence.ts';
import { registerFirstRun } from './first-run/first-run.ts';
import { registerFresh } from './fresh/fresh.ts';
import { registerInline } from './inline/inline.ts';
import { registerInsights } from './insights/view.ts';
import { useBundle } from './l10n.ts';
import { Session } from './session.ts';
import { showError } from './show-error.ts';
import { registerVscodeChat } from './vscode-chat/register.ts';

let session: Session | undefined;

/** Cheap: before something is asked no backend is started, and what speaks to it is not even loaded. */
export function activate(extension: vscode.ExtensionContext): void {
  useBundle(vscode.l10n.bundle);
  const log = vscode.window.createOutputChannel('RepoWave', { log: true });
  session = new Session(backendStarter(extension), log);
  extension.subscriptions.push(log, session);
  extension.subscriptions.push(
    vscode.workspace.onDidChangeConfiguration((event) => {
      if (event.affectsConfiguration('repowave.backend.url')) void session?.stop();
    }),
  );
  const chat = registerChat(extension, session, log);
  const insights = registerInsights(extension, session, log);
  const firstRun = registerFirstRun(extension, session, chat);
  registerStatus(extension, session, firstRun);
  const budget = registerBudget(extension, session, log);
  const inline = registerInline(extension, session);
  registerFresh(extension, session, log);
  const evidence = registerEvidence(extension, chat);
  registerVscodeChat(extension, session);
  registerCommands({ extension, log, session, chat, insights, budget, inline, evidence, firstRun });
}

export async function deactivate(): Promise<void> {
  await session?.stop();
}

function registerCommands(ctx: Ctx): void {
  for (const [name, run] of Object.entries<(ctx: Ctx, argument?: never) => unknown>(commands)) {
    const command = vscode.commands.registerCommand(name, async (argument: unknown) => {
      try {
        await run(ctx, argument as never);
      } catch (error) {
        await showError(error, ctx.log);
      }
    });
    ctx.extension.subscriptions.push(command);
  }
}
