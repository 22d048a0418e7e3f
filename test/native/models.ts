import path from 'node:path';
import { modelsDirectory } from '../../backend/models/download.ts';
import { CATALOGUE } from '../../backend/models/catalogue.ts';

/** Where a model of the catalogue lies; test/run.mjs has downloaded it. */
export function modelPath(id: string): string {
  const model = CATALOGUE.find((entry) => entry.id === id);
  if (!model) throw new Error(`${id} is not in the catalogue`);
  return path.join(modelsDirectory(), model.file);
}
