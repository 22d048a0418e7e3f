import * as vscode from 'vscode';
import type { Session } from '../session.ts';
import { registerParticipant } from './participant.ts';
import { RepositoryModels, VENDOR } from './provider.ts';
import { registerTools } from './tools.ts';

/** The parts of the API that a relative of VS Code may lack. */
type Available = Partial<Pick<typeof vscode, 'chat' | 'lm'>>;

/** Joins VS Code's own chat, as far as this VS Code has one: participant, tools and model. */
export function registerVscodeChat(extension: vscode.ExtensionContext, session: Session): void {
  const { chat, lm } = vscode as Available;
  const { subscriptions } = extension;
  if (chat && 'createChatParticipant' in chat) {
    const icon = vscode.Uri.joinPath(extension.extensionUri, 'media', 'icon.svg');
    subscriptions.push(registerParticipant(session, icon));
  }
  if (lm && 'registerTool' in lm) subscriptions.push(registerTools(session));
  if (lm && 'registerLanguageModelChatProvider' in lm) {
    const { version } = extension.extension.packageJSON as { version: string };
    const models = new RepositoryModels(session, version);
    subscriptions.push(
      vscode.lm.registerLanguageModelChatProvider(VENDOR, models),
      vscode.workspace.onDidChangeConfiguration((event) => {
        if (event.affectsConfiguration('repowave.model')) models.changed();
      }),
    );
    // Models are resolved on first use. Until then every participant is answered with "Language model unavailable".
    void vscode.lm.selectChatModels({ vendor: VENDOR });
  }
}
