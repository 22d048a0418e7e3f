import type { WorkspaceConfiguration } from 'vscode';
import type { AskParams } from '../backend/protocol.ts';

type Settings = Pick<AskParams, 'model' | 'include' | 'exclude' | 'mode' | 'gate' | 'others' | 'budget'>;

/** What the settings say about a repository. Their defaults are in package.json and nowhere else. */
export function readSettings(configuration: Pick<WorkspaceConfiguration, 'get'>): Settings {
  const model = configuration.get<string>('model')?.trim();
  return {
    ...(model ? { model } : {}),
    include: configuration.get<string[]>('include') ?? [],
    exclude: configuration.get<string[]>('exclude') ?? [],
    mode: configuration.get<Settings['mode']>('mode'),
    gate: gateOf(configuration.get<string>('gate')),
    others: configuration.get<Settings['others']>('others'),
    budget: shareOf(configuration.get<number>('budget')),
  };
}

function gateOf(setting: string | undefined): Settings['gate'] {
  if (setting === undefined || setting === 'auto' || setting === 'off') return setting;
  return Number(setting);
}

/** The setting is a percentage. */
function shareOf(setting: number | undefined): number | undefined {
  return setting === undefined ? undefined : setting / 100;
}
