import path from 'node:path';
import { z } from 'zod';
import { CATALOGUE, DEFAULT_MODEL, findModel, licenceOf, type CatalogueModel } from '../models/catalogue.ts';
import { ensureModel, isVerified, modelsDirectory, removeModel, verifyAgain } from '../models/download.ts';
import {
  DownloadRequest,
  ModelsRequest,
  RemoveModelRequest,
  VerifyModelRequest,
  type ModelInfo,
} from '../protocol.ts';
import type { Registry } from './connection.ts';
import { progressFields } from './params.ts';

export function registerModels(registry: Registry): void {
  registry.on0(ModelsRequest, () => Promise.all(CATALOGUE.map(describe)));
  registry.on(
    DownloadRequest,
    z.object({ id: z.string(), acceptLicence: z.boolean().optional(), ...progressFields }),
    async ({ id, acceptLicence }, { signal, report }) => {
      const model = findModel(id);
      await ensureModel(id, {
        directory: modelsDirectory(),
        signal,
        acceptLicence,
        onProgress: (progress) =>
          report({
            kind: 'phase',
            phase: 'download',
            detail: `${model.name}, ${licenceOf(model)}`,
            ...progress,
          }),
      });
      return describe(model);
    },
  );
  const schema = z.object({ id: z.string(), ...progressFields });
  registry.on(VerifyModelRequest, schema, async ({ id }, { signal }) => {
    if (path.isAbsolute(id)) {
      await ensureModel(id, { directory: modelsDirectory() });
      return { state: 'verified' as const };
    }
    const model = findModel(id);
    return { state: await verifyAgain(fileOf(model), model, signal) };
  });
  registry.on(RemoveModelRequest, schema, async ({ id }) => {
    const model = findModel(id);
    await removeModel(fileOf(model));
    return describe(model);
  });
}

const fileOf = (model: CatalogueModel): string => path.join(modelsDirectory(), model.file);

async function describe(model: CatalogueModel): Promise<ModelInfo> {
  const { id, name, bytes, trainedContext } = model;
  const file = fileOf(model);
  // A damaged file is as good as none here: the next download replaces it and says so.
  const present = await isVerified(file, model).catch(() => false);
  return {
    id,
    name,
    bytes,
    licence: licenceOf(model),
    terms: model.terms ?? null,
    trainedContext,
    default: id === DEFAULT_MODEL,
    path: present ? file : null,
  };
}
