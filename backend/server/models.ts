import path from 'node:path';
import { z } from 'zod';
import { CATALOGUE, DEFAULT_MODEL, findModel, licenceOf, type CatalogueModel } from '../models/catalogue.ts';
import { ensureModel, isVerified, modelsDirectory } from '../models/download.ts';
import { DownloadRequest, ModelsRequest, type ModelInfo } from '../protocol.ts';
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
}

async function describe(model: CatalogueModel): Promise<ModelInfo> {
  const { id, name, bytes, trainedContext } = model;
  const file = path.join(modelsDirectory(), model.file);
  // A damaged file is as good as none here: the next download replaces it and says so.
  const present = await isVerified(file, model).catch(() => false);
  return {
    id,
    name,
    bytes,
    licence: licenceOf(model),
    trainedContext,
    default: id === DEFAULT_MODEL,
    path: present ? file : null,
  };
}
