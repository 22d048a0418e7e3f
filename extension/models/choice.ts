/** How models are offered to the user. Pure. */
import { basename } from 'node:path';
import type { ModelInfo } from '../../backend/protocol.ts';
import { bytes, count } from '../format.ts';
import { t } from '../l10n.ts';

export type Pick =
  | { kind: 'model'; model: ModelInfo }
  /** The GGUF file that the settings name. */
  | { kind: 'file'; path: string }
  | { kind: 'import' };

/** A row of the quick pick; rows of the same group stand together. */
export interface ModelRow {
  group: string;
  label: string;
  description: string;
  detail: string;
  pick: Pick;
}

export const isFile = (setting: string): boolean => /[/\\]|\.gguf$/i.test(setting);

/** The model that answers: what `setting` says, or the default one. Undefined for a file, and for an unknown id. */
export function chosenModel(models: readonly ModelInfo[], setting: string): ModelInfo | undefined {
  return models.find(({ id, default: usual }) => (setting ? id === setting : usual));
}

/** All that can answer, those on this machine first, and the import of a file. `setting` is `repowave.model`. */
export function modelRows(models: readonly ModelInfo[], setting: string): ModelRow[] {
  const chosen = chosenModel(models, setting);
  const rows = models.map((model) => rowOf(model, model === chosen));
  const file = isFile(setting) ? [fileRow(setting)] : [];
  return [...file, ...rows.filter(isHere), ...rows.filter((row) => !isHere(row)), importRow()];
}

const isHere = ({ pick }: ModelRow): boolean => pick.kind === 'model' && pick.model.path !== null;

function rowOf(model: ModelInfo, chosen: boolean): ModelRow {
  const here = model.path !== null;
  const icon = chosen ? '$(check)' : here ? '$(circle-large-outline)' : '$(cloud-download)';
  const facts = [
    here ? t('Downloaded') : t('Not downloaded'),
    model.terms && !here ? t('licence to be accepted') : '',
    t('trained on {0} tokens', count(model.trainedContext)),
    model.default ? t('default') : '',
  ];
  return {
    group: here ? t('On this machine') : t('To be downloaded'),
    label: `${icon} ${model.name}`,
    description: `${bytes(model.bytes)} · ${model.licence}`,
    detail: facts.filter(Boolean).join(' · '),
    pick: { kind: 'model', model },
  };
}

function fileRow(path: string): ModelRow {
  return {
    group: t('On this machine'),
    label: `$(check) ${basename(path)}`,
    description: t('your own file'),
    detail: path,
    pick: { kind: 'file', path },
  };
}

function importRow(): ModelRow {
  return {
    group: t('Other'),
    label: `$(file-add) ${t('Import a Model File…')}`,
    description: '',
    detail: t('A GGUF file that you have already; it stays where it is.'),
    pick: { kind: 'import' },
  };
}

/** What is asked before a model whose licence is not open source is downloaded. */
export function licenceQuestion({ name, licence, terms }: ModelInfo): { message: string; detail: string } {
  const title = licence.replace(` (${terms})`, '');
  return {
    message: t('{0} is not open source: its licence is the {1}.', name, title),
    detail: t('Read it at {0}. The model is downloaded only when you have accepted it.', terms ?? ''),
  };
}
