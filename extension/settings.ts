import type { WorkspaceConfiguration } from 'vscode';
import type { RepositoryParams } from '../backend/protocol.ts';

/** What the settings say about a repository. Their defaults are in package.json and nowhere else. */
export function readSettings(
  configuration: Pick<WorkspaceConfiguration, 'get'>,
): Omit<RepositoryParams, 'root'> {
  const model = configuration.get<string>('model')?.trim();
  return {
    ...(model ? { model } : {}),
    include: configuration.get<string[]>('include') ?? [],
    exclude: configuration.get<string[]>('exclude') ?? [],
  };
}
