import type { WorkspaceConfiguration } from 'vscode';
import type { AskParams } from '../backend/protocol.ts';

type Settings = Pick<
  AskParams,
  | 'model'
  | 'include'
  | 'exclude'
  | 'mode'
  | 'kv'
  | 'gate'
  | 'others'
  | 'budget'
  | 'ramBytes'
  | 'gpu'
  | 'gpuBytes'
  | 'diskBytes'
>;

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
    kv: configuration.get<Settings['kv']>('kv'),
    ramBytes: bytesOf(configuration.get<number>('ram')),
    gpu: configuration.get<Settings['gpu']>('gpu'),
    gpuBytes: bytesOf(configuration.get<number>('gpuMemory')),
    diskBytes: bytesOf(configuration.get<number>('disk')),
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

/** The setting is in gigabytes, and 0 leaves the choice to the backend. */
function bytesOf(setting: number | undefined): number | undefined {
  return setting ? setting * 1e9 : undefined;
}
