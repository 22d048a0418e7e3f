import path from 'node:path';
import * as vscode from 'vscode';
import type { Budget } from './budget/budget.ts';
import type { Chat } from './chat/view.ts';
import type { EvidenceFeature } from './evidence/evidence.ts';
import type { FirstRun } from './first-run/first-run.ts';
import type { Insights } from './insights/view.ts';
import type { InlineChat } from './inline/inline.ts';
import type { Session } from './session.ts';

/** What the features share. */
export interface Ctx {
  readonly extension: vscode.ExtensionContext;
  readonly log: vscode.LogOutputChannel;
  readonly session: Session;
  readonly chat: Chat;
  readonly insights: Insights;
  readonly budget: Budget;
  readonly inline: InlineChat;
  readonly evidence: EvidenceFeature;
  readonly firstRun: FirstRun;
}

/** Tests put another backend in its place. */
export function backendScript(extension: vscode.ExtensionContext): string {
  return process.env.REPOWAVE_BACKEND || path.join(extension.extensionPath, 'dist', 'backend.mjs');
}
