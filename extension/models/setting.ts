import * as vscode from 'vscode';

/** The setting `repowave.model`; empty for the default model. */
export function modelSetting(): string {
  return vscode.workspace.getConfiguration('repowave').get<string>('model')?.trim() ?? '';
}

/** Where the workspace names a model, it is the workspace's that changes: the user's would have no effect. */
export async function setModel(idOrPath: string): Promise<void> {
  const configuration = vscode.workspace.getConfiguration('repowave');
  const inWorkspace = configuration.inspect('model')?.workspaceValue !== undefined;
  const { Workspace, Global } = vscode.ConfigurationTarget;
  await configuration.update('model', idOrPath, inWorkspace ? Workspace : Global);
}
