/** The commands that choose, fetch, check and remove models. */
import path from 'node:path';
import * as vscode from 'vscode';
import {
  DownloadRequest,
  ModelsRequest,
  RemoveModelRequest,
  VerifyModelRequest,
} from '../../backend/protocol.ts';
import type { ModelInfo } from '../../backend/protocol.ts';
import type { Ctx } from '../ctx.ts';
import { bytes } from '../format.ts';
import { t } from '../l10n.ts';
import { work } from '../work.ts';
import { licenceQuestion, modelRows } from './choice.ts';
import type { ModelRow } from './choice.ts';
import { modelSetting, setModel } from './setting.ts';

/** Offers all models; one that is not there is downloaded first. */
export async function selectModel(ctx: Ctx): Promise<void> {
  const models = await allModels(ctx);
  const row = models && (await pickRow(modelRows(models, modelSetting()), t('Which model shall answer?')));
  if (!row || row.pick.kind === 'file') return;
  if (row.pick.kind === 'import') return importModel(ctx);
  const { model } = row.pick;
  if (model.path === null && !(await download(ctx, model))) return;
  await use(ctx, model.id, model.name);
}

/** Makes a GGUF file of the user's the model, once the backend has found it good. */
export async function importModel(ctx: Ctx): Promise<void> {
  const [file] =
    (await vscode.window.showOpenDialog({
      title: t('Import a Model File'),
      openLabel: t('Use This Model'),
      filters: { GGUF: ['gguf'] },
    })) ?? [];
  if (!file) return;
  const id = file.fsPath;
  if (!(await work(ctx, t('Looking at the model'), VerifyModelRequest, { id }))) return;
  await use(ctx, id, path.basename(id));
}

async function use(ctx: Ctx, idOrPath: string, name: string): Promise<void> {
  await setModel(idOrPath);
  ctx.firstRun.modelIs('ready');
  void vscode.window.showInformationMessage(t('{0} answers from now on.', name));
}

/** Reads every byte of a model again. */
export async function verifyModel(ctx: Ctx): Promise<void> {
  const model = await pickDownloaded(ctx, t('Which model shall be verified?'));
  if (!model) return;
  const check = await work(ctx, t('Verifying {0}', model.name), VerifyModelRequest, { id: model.id });
  if (!check) return;
  if (check.state === 'verified') {
    void vscode.window.showInformationMessage(t('{0} is whole.', model.name));
    return;
  }
  const damaged = t('{0} is damaged: remove it, then download it again.', model.name);
  const remove = await vscode.window.showWarningMessage(damaged, t('Remove'));
  if (remove) await removeIt(ctx, model);
}

export async function removeModel(ctx: Ctx): Promise<void> {
  const model = await pickDownloaded(ctx, t('Which model shall be removed?'));
  if (!model) return;
  const remove = await vscode.window.showWarningMessage(
    t('Remove {0}?', model.name),
    { modal: true, detail: t('It frees {0}, and can be downloaded again.', bytes(model.bytes)) },
    t('Remove'),
  );
  if (remove) await removeIt(ctx, model);
}

async function removeIt(ctx: Ctx, { id }: ModelInfo): Promise<void> {
  await work(ctx, t('Removing the model'), RemoveModelRequest, { id });
  await allModels(ctx);
}

/** Undefined when the user has cancelled. Also tells the views whether the chosen model is there. */
export async function allModels(ctx: Ctx): Promise<ModelInfo[] | undefined> {
  const models = await work(ctx, t('Looking for models'), ModelsRequest, {}, { quiet: true });
  if (models) ctx.firstRun.modelsAre(models);
  return models;
}

async function pickDownloaded(ctx: Ctx, question: string): Promise<ModelInfo | undefined> {
  const models = (await allModels(ctx))?.filter(({ path }) => path !== null);
  if (!models) return undefined;
  if (models.length === 0) throw new Error(t('No model is downloaded: select one first.'));
  const rows = modelRows(models, modelSetting());
  const row = await pickRow(
    rows.filter(({ pick }) => pick.kind === 'model'),
    question,
  );
  return row?.pick.kind === 'model' ? row.pick.model : undefined;
}

async function pickRow(rows: ModelRow[], placeHolder: string): Promise<ModelRow | undefined> {
  const items = rows.flatMap((row, i) => {
    const separator = { label: row.group, kind: vscode.QuickPickItemKind.Separator };
    return row.group === rows[i - 1]?.group ? [row] : [separator, row];
  });
  const picked = await vscode.window.showQuickPick<vscode.QuickPickItem & Partial<ModelRow>>(items, {
    placeHolder,
    matchOnDescription: true,
    ignoreFocusOut: true,
  });
  return picked?.pick ? (picked as ModelRow) : undefined;
}

/** False when the user has turned away. */
async function download(ctx: Ctx, model: ModelInfo): Promise<boolean> {
  if (model.terms !== null && !(await acceptLicence(model, model.terms))) return false;
  const params = { id: model.id, acceptLicence: model.terms !== null };
  const got = await work(ctx, t('Downloading {0}', model.name), DownloadRequest, params);
  return got !== undefined;
}

/** It can be accepted only after it was opened. */
async function acceptLicence(model: ModelInfo, terms: string): Promise<boolean> {
  const { message, detail } = licenceQuestion(model);
  const read = t('Read the Licence');
  const accept = t('Accept and Download');
  const ask = (...buttons: string[]) =>
    vscode.window.showWarningMessage(message, { modal: true, detail }, ...buttons);
  let answer = await ask(read);
  while (answer === read) {
    await vscode.env.openExternal(vscode.Uri.parse(terms));
    answer = await ask(accept, read);
  }
  return answer === accept;
}
