import os from 'node:os';
import { z } from 'zod';
import { doctor } from '../doctor.ts';
import { loadAddon } from '../engine/native.ts';
import { UserError } from '../errors.ts';
import { CATALOGUE } from '../models/catalogue.ts';
import { modelsDirectory } from '../models/download.ts';
import { predictPrefillRate } from '../models/speed.ts';
import { storeDirectory } from '../paths.ts';
import { DoctorRequest, ProbeRequest, type Check, type ErrorName } from '../protocol.ts';
import { scan } from '../repo/scan.ts';
import type { Registry } from './connection.ts';
import { repositoryFields } from './params.ts';

const NOTHING_TO_READ: ErrorName[] = ['repositoryEmpty', 'everythingExcluded'];

export function registerDoctor(registry: Registry): void {
  registry.on0(DoctorRequest, examine);
  const { root, include, exclude } = repositoryFields;
  registry.on(
    ProbeRequest,
    z.object({ root: root.optional(), include, exclude }),
    async (folder, { signal }) => ({
      checks: await examine(),
      sourceBytes:
        folder.root === undefined ? null : await sourceBytes({ ...folder, root: folder.root, signal }),
      prefillRates: prefillRates(),
    }),
  );
}

const examine = (): Promise<Check[]> =>
  doctor({ modelsDirectory: modelsDirectory(), storeDirectory: storeDirectory() });

/** A folder from which nothing would be read has none. */
async function sourceBytes(folder: Parameters<typeof scan>[0]): Promise<number> {
  try {
    const { files } = await scan(folder);
    return files.reduce((sum, { bytes }) => sum + bytes, 0);
  } catch (error) {
    if (error instanceof UserError && NOTHING_TO_READ.includes(error.code)) return 0;
    throw error;
  }
}

/** Nothing can be predicted without the addon; its check says why it does not load. */
function prefillRates(): Record<string, number> {
  try {
    const { isa } = loadAddon();
    const threads = os.availableParallelism();
    return Object.fromEntries(
      CATALOGUE.map((model) => [model.id, predictPrefillRate(model.bytes, threads, isa)]),
    );
  } catch {
    return {};
  }
}
