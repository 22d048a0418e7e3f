import { ensureModel, modelsDirectory } from '../../backend/models/download.ts';

/** @returns the file of a model, downloaded if need be */
export async function modelPath(idOrPath: string): Promise<string> {
  return (await ensureModel(idOrPath, { directory: modelsDirectory() })).path;
}
